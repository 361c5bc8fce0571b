// One HTTP exchange from the call to the whole answer, or to its failure. Invariant: `unreachable` is said only when
// not an octet of the request has been given to a connection that stands, with TLS after its handshake and the check
// of the certificate; test/dialogs/sidecar-fire-network.test.ts fails without it.

import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import type { HttpOutcome, HttpRequest, RequestBody } from './receiver-client.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;

/** Never rejects. `host` is for the text of failures. */
export async function perform(
  clock: Clock,
  request: Pick<HttpRequest, 'body' | 'timeoutMs' | 'stallMs'>,
  host: string,
  open: () => ClientRequest,
): Promise<HttpOutcome> {
  let outgoing: ClientRequest;
  try {
    outgoing = open();
  } catch (error) {
    // Node refuses characters in paths and headers: what a receiver gave us may hold them.
    return { kind: 'unreachable', ours: true, reason: `the request cannot be made: ${reasonOf(error)}` };
  }
  return new Promise((resolve) => {
    const { timeoutMs, stallMs } = request;
    let left = false;
    let answering = false;
    let settled = false;
    const settle = (outcome: HttpOutcome): void => {
      if (settled) return;
      settled = true;
      cancelTimer();
      cancelStall();
      // An answer may come before the request has been written: what is left of it must not follow.
      if (outcome.kind !== 'answer' || !outgoing.writableFinished) outgoing.destroy();
      resolve(outcome);
    };
    const fail = (reason: string, how: 'timeout' | 'cut' | 'stale'): void => {
      if (left) settle({ kind: 'lost', reason, how });
      else settle({ kind: 'unreachable', reason, ...(how === 'timeout' && { timedOut: true }) });
    };
    const cancelTimer = clock.after(timeoutMs, () =>
      fail(left ? `no answer within ${timeoutMs} ms` : `no connection within ${timeoutMs} ms`, 'timeout'),
    );
    let cancelStall = (): void => undefined;
    const moved = (): void => {
      cancelStall();
      if (stallMs === undefined || settled) return;
      cancelStall = clock.after(stallMs, () => fail(`nothing moved for ${stallMs} ms`, 'timeout'));
    };
    moved();
    outgoing.on('socket', (socket) => {
      const ready = (): void => {
        left = true;
      };
      // The system may have refused the address at once: nothing goes out over a socket that is gone.
      if (socket.destroyed) return;
      if (stands(socket)) ready();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', ready);
    });
    outgoing.on('error', (error) => {
      if (isFaultOfWriting(error)) {
        const reason = `the request cannot be written: ${reasonOf(error)}`;
        // Octets go in their order: behind a write that failed nothing followed.
        settle(left ? { kind: 'unreadable', reason } : { kind: 'unreachable', ours: true, reason });
        return;
      }
      const stale = outgoing.reusedSocket && !answering && isClosedConnection(error);
      fail(reasonOf(error, host), stale ? 'stale' : 'cut');
    });
    outgoing.on('close', () => {
      if (!answering) fail('the connection was closed', 'cut');
    });
    outgoing.on('response', (response) => {
      answering = true;
      readAnswer(response, moved).then(
        (answer) => settle({ kind: 'answer', answer }),
        (error: unknown) => fail(reasonOf(error), 'cut'),
      );
    });
    writeBody(outgoing, request.body, moved).catch((error: unknown) =>
      settle({ kind: 'unreadable', reason: `the content cannot be read: ${reasonOf(error)}` }),
    );
  });
}

// A kept connection; a new one comes here before it is made.
function stands(socket: Socket): boolean {
  if (socket.connecting) return false;
  return !(socket instanceof TLSSocket) || socket.getProtocol() !== null;
}

async function writeBody(outgoing: ClientRequest, body: RequestBody, moved: () => void): Promise<void> {
  if (!('read' in body)) {
    for (const piece of body) outgoing.write(piece);
    outgoing.end();
    return;
  }
  let writtenBytes = 0;
  for await (const piece of body.read()) {
    if (outgoing.destroyed) return;
    writtenBytes += piece.length;
    if (writtenBytes > body.sizeBytes) break;
    if (!outgoing.write(piece)) await drained(outgoing);
    moved();
  }
  // More or less than announced would be another message.
  if (writtenBytes !== body.sizeBytes) throw new Error(`it does not have its ${body.sizeBytes} octets`);
  outgoing.end();
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    if (outgoing.destroyed || !outgoing.writableNeedDrain) return resolve();
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
}

async function readAnswer(response: IncomingMessage, moved: () => void): Promise<ReceivedAnswer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of response) {
    if (!Buffer.isBuffer(piece)) throw new Error('an answer without an encoding comes as buffers');
    sizeBytes += piece.length;
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error(`the answer is over ${MAX_ANSWER_BYTES} octets`);
    pieces.push(piece);
    moved();
  }
  if (!response.complete) throw new Error('the answer is not whole');
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { status: response.statusCode ?? 0, headers, body: Buffer.concat(pieces) };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

// This machine did not take the octets, whatever the network does.
function isFaultOfWriting(error: unknown): boolean {
  const syscall = error instanceof Error && 'syscall' in error ? error.syscall : undefined;
  return (
    (syscall === 'write' || syscall === 'writev') &&
    ['EINVAL', 'EFAULT', 'EMSGSIZE', 'ENOBUFS', 'ENOMEM'].includes(codeOf(error))
  );
}

function isClosedConnection(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error));
}

/** For the log, in words where Node's are not for people. */
export function reasonOf(error: unknown, host?: string): string {
  if (!(error instanceof Error)) return String(error);
  // A name with several addresses fails with one error for all of them.
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map((one: unknown) => reasonOf(one, host)).join('; ');
  if (host === undefined) return error.message;
  const code = codeOf(error);
  if (code === 'ENOTFOUND') return `DNS knows no address of ${host}`;
  if (code === 'EAI_AGAIN') return `DNS does not answer for ${host}`;
  if (/^(CERT_|ERR_TLS_CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code))
    return `the certificate of ${host} is not accepted: ${error.message}`;
  return error.message;
}
