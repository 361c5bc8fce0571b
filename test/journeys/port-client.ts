// A client that keeps the protocol (docs/xfer-protocol.md, rules for clients): it holds its copy until it has
// read a yes, repeats in doubt, or withdraws, and comes back with what was put off. What it did is in its ledger.

import { createHash } from 'node:crypto';
import type { Answer, ApiRequest, Trial, Turn } from './port-trial.ts';

/** What the client does when it does not know whether a message was taken. */
export const MANNERS = [
  /** The same transfer again, at once. */
  'repeats',
  /** Again, when deliver and release had their turn. */
  'repeats late',
  /** Takes it back. */
  'withdraws',
  /** Takes it back, and hands it over again when the bar is over, as an MTA's queue would. */
  'returns',
  /** Never comes back. */
  'vanishes',
] as const;
export type Manner = (typeof MANNERS)[number];

export interface Letter {
  readonly id: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
  /** Other fields of the frame. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly upload?: boolean;
  /** Of every recipient. */
  readonly notify?: readonly string[];
}

/** Who answers for a message: the one who must bring it to its end. */
export type Owner = 'client' | 'receiver' | 'unknown';

export interface Client {
  readonly letters: ReadonlyMap<string, Letter>;
  readonly owners: ReadonlyMap<string, Owner>;
  /** Until every letter has a verdict, or is given up. `turn` is for the first request. */
  handOver(letters: readonly Letter[], turn?: Turn): Promise<void>;
  /** One request, and whatever came of it the client never comes back. */
  leave(letter: Letter, turn: Turn): Promise<void>;
  /** Until it is known who has it. */
  withdraw(id: string): Promise<void>;
}

export const SENDER = 'a@sender.example';
const SOON_MS = 10_000;
const LATER_MS = 660_000;
/** Past the hour of a bar, and the two hours that its item is kept. */
const RETURN_MS = 8_100_000;
const MOST_TRIES = 400;

/** `onYes` hears of every yes at the moment that it is read. */
export function createClient(
  trial: Trial,
  manner: Manner,
  onYes: (letter: Letter) => Promise<void> = async () => {},
): Client {
  const letters = new Map<string, Letter>();
  const owners = new Map<string, Owner>();
  /** Recipients for whom a yes was read. */
  const taken = new Map<string, number>();
  const state = { manner };

  async function handOver(asked: readonly Letter[], turn?: Turn): Promise<void> {
    for (const letter of asked) {
      letters.set(letter.id, letter);
      trial.know(letter.id, letter.recipients.length);
      if (owners.get(letter.id) !== 'receiver') owners.set(letter.id, 'client');
    }
    let open = asked;
    for (let tries = 0; open.length > 0; tries += 1) {
      if (tries === MOST_TRIES) throw new Error(`${open.map(({ id }) => id)} got no verdict`);
      const verdicts = await post(open, tries === 0 ? turn : undefined);
      const putOff: Letter[] = [];
      const doubtful: Letter[] = [];
      for (const letter of open) {
        const verdict = verdicts.get(letter.id);
        if (verdict === 'yes') {
          owners.set(letter.id, 'receiver');
          taken.set(letter.id, letter.recipients.length);
          await onYes(letter);
        } else if (verdict === 'no') putOff.push(letter);
        else doubtful.push(letter);
      }
      const back = await settleDoubt(doubtful);
      open = [...putOff, ...back];
      if (open.length > 0) await pause(putOff.length > 0);
    }
  }

  /** Those that are to be handed over again. */
  async function settleDoubt(doubtful: readonly Letter[]): Promise<readonly Letter[]> {
    if (doubtful.length === 0) return [];
    switch (state.manner) {
      case 'repeats':
      case 'repeats late':
        return doubtful;
      case 'withdraws':
      case 'returns': {
        for (const { id } of doubtful) await withdraw(id);
        // A 409 speaks for the recipients that were taken: new ones are handed over again.
        const wider = doubtful.filter(({ id, recipients }) => {
          return owners.get(id) === 'receiver' && (taken.get(id) ?? recipients.length) < recipients.length;
        });
        const back = doubtful.filter(({ id }) => owners.get(id) === 'client');
        if (state.manner === 'withdraws') return wider;
        state.manner = 'repeats';
        if (back.length > 0) await trial.pass(RETURN_MS);
        return [...back, ...wider];
      }
      case 'vanishes':
        for (const { id } of doubtful) owners.set(id, 'unknown');
        return [];
    }
  }

  async function pause(putOff: boolean): Promise<void> {
    if (putOff) await trial.pass(LATER_MS);
    else if (state.manner === 'repeats late') await trial.pass(SOON_MS);
    else await trial.stage.sleep(SOON_MS);
  }

  async function leave(letter: Letter, turn: Turn): Promise<void> {
    letters.set(letter.id, letter);
    trial.know(letter.id, letter.recipients.length);
    const verdicts = await post([letter], turn);
    owners.set(letter.id, verdicts.get(letter.id) === 'yes' ? 'receiver' : 'unknown');
  }

  async function withdraw(id: string): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const answer = await trial.request({ method: 'DELETE', path: `/delay_message/${id}` });
      if (answer?.status === 200) {
        owners.set(id, 'client');
        return;
      }
      if (answer?.status === 409) {
        owners.set(id, 'receiver');
        return;
      }
      await pause(false);
    }
    throw new Error(`${id} could be neither withdrawn nor not`);
  }

  async function post(
    asked: readonly Letter[],
    turn: Turn | undefined,
  ): Promise<ReadonlyMap<string, 'yes' | 'no'>> {
    for (const letter of asked) {
      for (let tries = 0; letter.upload === true && !(await uploadTo(trial, letter)); tries += 1) {
        if (tries === MOST_TRIES) throw new Error(`${letter.id} could not be uploaded`);
        await pause(false);
      }
    }
    return verdictsOf(await trial.request(transferOf(asked), turn));
  }

  return { letters, owners, handOver, leave, withdraw };
}

/** False: no place was made for it. */
export async function uploadTo(trial: Trial, { id, content }: Letter): Promise<boolean> {
  const body = JSON.stringify({ id, sizeBytes: content.length, sha256: sha256(content) });
  const answer = await trial.request({
    method: 'POST',
    path: '/delay_message/uploads',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(body),
  });
  if (answer?.status !== 200) return false;
  const { url, headers } = JSON.parse(answer.body);
  await trial.stage.upload(url, headers, content);
  return true;
}

export function transferOf(letters: readonly Letter[]): ApiRequest {
  return {
    method: 'POST',
    path: '/delay_message',
    headers: { 'content-type': 'application/vnd.delay-xfer.v1', 'x-xfer-patience-ms': '20000' },
    body: Buffer.concat(letters.map(frameOf)),
  };
}

function frameOf(letter: Letter): Buffer {
  const { id, recipients, content, fields = {}, upload = false, notify } = letter;
  const line = {
    id,
    sender: SENDER,
    recipients: notify === undefined ? recipients : recipients.map((address) => ({ address, notify })),
    sizeBytes: content.length,
    ...(upload ? { upload, sha256: sha256(content) } : {}),
    ...fields,
  };
  return Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), upload ? Buffer.alloc(0) : content]);
}

/** Messages without a verdict are in doubt. */
export function verdictsOf(answer: Answer | undefined): ReadonlyMap<string, 'yes' | 'no'> {
  if (answer?.status !== 200 && answer?.status !== 422) return new Map();
  const { messages } = JSON.parse(answer.body);
  if (!Array.isArray(messages)) throw new Error(`a request was refused as a whole: ${answer.body}`);
  return new Map(
    messages.map(({ id, status }) => {
      if (status === 'refused') return [String(id), 'no'] as const;
      return [String(id), 'yes'] as const;
    }),
  );
}

function sha256(octets: Buffer): string {
  return createHash('sha256').update(octets).digest('hex');
}
