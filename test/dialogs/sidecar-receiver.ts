// A scripted receiver for the sidecar's dialogs: keeps every request as it came, and answers as the test says.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Frame {
  readonly header: Readonly<Record<string, unknown>>;
  readonly content: Buffer;
}

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As it came. */
  readonly body: Buffer;
  readonly frames: readonly Frame[];
  readonly ids: readonly string[];
}

export type Answer = (request: ReceivedRequest, response: ServerResponse) => void;

export interface ScriptedReceiver {
  readonly port: number;
  readonly requests: readonly ReceivedRequest[];
  /** Answers for the next requests of a method, in turn; then `otherwise` for good. */
  script(method: string, answers: readonly Answer[], otherwise?: Answer): void;
  /** Resolves when so many requests of the method have come. */
  until(method: string, count: number): Promise<readonly ReceivedRequest[]>;
  /** Called with each connection's request before its body is read; true cuts the connection. */
  cutBeforeBody: (request: IncomingMessage) => boolean;
  close(): Promise<void>;
}

export async function startReceiver(port = 0): Promise<ScriptedReceiver> {
  const requests: ReceivedRequest[] = [];
  const scripts = new Map<string, { answers: Answer[]; otherwise: Answer }>();
  let waiters: (() => void)[] = [];
  const server = createServer((incoming, response) => {
    if (receiver.cutBeforeBody(incoming)) {
      incoming.destroy();
      return;
    }
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const request = readRequest(incoming, Buffer.concat(pieces));
      requests.push(request);
      const script = scripts.get(request.method);
      const answer = script?.answers.shift() ?? script?.otherwise ?? DEFAULTS[request.method] ?? status(404);
      answer(request, response);
      for (const wake of waiters.splice(0)) wake();
    });
  });
  const of = (method: string): readonly ReceivedRequest[] =>
    requests.filter((request) => request.method === method);
  const receiver: ScriptedReceiver = {
    port: 0,
    requests,
    cutBeforeBody: () => false,
    script(method, answers, otherwise = DEFAULTS[method] ?? status(404)) {
      scripts.set(method, { answers: [...answers], otherwise });
    },
    async until(method, count) {
      while (of(method).length < count) await new Promise<void>((wake) => waiters.push(wake));
      return of(method);
    },
    async close() {
      waiters = [];
      server.closeAllConnections();
      if (server.listening) await new Promise((done) => server.close(done));
    },
  };
  await new Promise<void>((done, failed) => server.once('error', failed).listen(port, '127.0.0.1', done));
  return Object.assign(receiver, { port: (server.address() as AddressInfo).port });
}

/** Every message taken. */
export const accept: Answer = (request, response) => {
  respond(response, 200, { messages: request.ids.map((id) => ({ id, status: 'accepted' })) });
};

/** Every message known already. */
export const duplicate: Answer = (request, response) => {
  respond(response, 200, { messages: request.ids.map((id) => ({ id, status: 'duplicate' })) });
};

/** Verdicts as the test makes them of the request. */
export function verdicts(make: (request: ReceivedRequest) => unknown[], code = 200): Answer {
  return (request, response) => respond(response, code, { messages: make(request) });
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_, response) => {
    response.writeHead(code, { 'content-type': 'application/problem+json', ...headers });
    response.end(JSON.stringify({ code: 'scripted', detail: `the script says ${code}` }));
  };
}

/** Takes the request and never answers. */
export const hang: Answer = () => undefined;

/** Takes the whole request and cuts the connection. */
export const cut: Answer = (_, response) => {
  response.socket?.destroy();
};

export const withdrawn: Answer = (request, response) => {
  respond(response, 200, { id: request.path.split('/').at(-1), status: 'withdrawn' });
};

export const kept: Answer = (_, response) => respond(response, 409, { code: 'not-withdrawn', state: 'open' });

const DEFAULTS: Readonly<Record<string, Answer>> = { POST: accept, DELETE: withdrawn, PUT: status(200) };

function respond(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function readRequest(incoming: IncomingMessage, body: Buffer): ReceivedRequest {
  const plain = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const frames =
    incoming.headers['content-type'] === 'application/vnd.delay-xfer.v1' ? readFrames(plain) : [];
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    body,
    frames,
    ids: frames.map((frame) => String(frame.header['id'])),
  };
}

// A line of JSON, then as many octets as it says, as the protocol's text has it.
function readFrames(body: Buffer): Frame[] {
  const frames: Frame[] = [];
  let offset = 0;
  while (offset < body.length) {
    const end = body.indexOf(0x0a, offset);
    const header = JSON.parse(body.toString('utf8', offset, end)) as Record<string, unknown>;
    const sizeBytes = header['upload'] === true ? 0 : Number(header['sizeBytes']);
    frames.push({ header, content: body.subarray(end + 1, end + 1 + sizeBytes) });
    offset = end + 1 + sizeBytes;
  }
  return frames;
}
