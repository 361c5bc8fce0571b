// A receiver's memory for the sidecar's dialogs: what it took, under which id, and what was withdrawn. A test makes
// it fail before or after it stored, and then asks where each message is.

import { createHash } from 'node:crypto';
import type { Answer, ReceivedRequest } from './sidecar-receiver.ts';

export interface Ledger {
  /** Stores what is new and answers honestly; withdraws on DELETE. */
  readonly honest: Answer;
  /** Stores, and leaves the answer to another. */
  storing(answer: Answer): Answer;
  /** Contents by id, each taken and not withdrawn. */
  held(): ReadonlyMap<string, Buffer>;
  /** Withdrawals of it are refused from now on. */
  begin(id: string): void;
}

export function createLedger(): Ledger {
  const held = new Map<string, Buffer>();
  const barred = new Set<string>();
  const begun = new Set<string>();
  const store = (request: ReceivedRequest): unknown[] =>
    request.frames.map(({ header, content }) => {
      const id = String(header['id']);
      const sha256 = createHash('sha256').update(content).digest('hex');
      if (header['upload'] !== true && sha256 !== header['sha256']) throw new Error(`${id} came mangled`);
      if (barred.has(id)) {
        const reply = { code: 451, enhanced: '4.3.0', text: 'this id was withdrawn' };
        return { id, status: 'refused', reply };
      }
      const known = held.get(id);
      if (known !== undefined && !known.equals(content)) throw new Error(`${id} stands for two contents`);
      held.set(id, content);
      return { id, status: known === undefined ? 'accepted' : 'duplicate' };
    });
  const honest: Answer = (request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.method !== 'DELETE') {
      const messages = store(request);
      const refused = JSON.stringify(messages).split('"refused"').length - 1;
      return answer(refused === messages.length ? 422 : 200, { messages });
    }
    const id = request.path.split('/').at(-1) ?? '';
    if (begun.has(id)) return answer(409, { code: 'not-withdrawn', state: 'open' });
    held.delete(id);
    barred.add(id);
    answer(200, { id, status: 'withdrawn' });
  };
  return {
    honest,
    storing(answer) {
      return (request, response) => {
        store(request);
        answer(request, response);
      };
    },
    held: () => held,
    begin: (id) => void begun.add(id),
  };
}
