// Speaks HTTP to receivers: one request, one outcome, never a rejection. It tells apart what decides over doubles:
// `unreachable` means that nothing of the request left this machine, `lost` that it may have arrived and no answer
// came. Connections are kept and reused. Answers over 1 MiB are cut off and count as lost.

import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { XferRoute } from '../../shared/config/routes.ts';
import type { ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import type { Target } from '../routing/targets.ts';
import type { SignRequest } from './signature.ts';

export interface HttpRequest {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** Path with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Buffer[];
  /** From the call to the whole answer. */
  readonly timeoutMs: number;
}

export type HttpOutcome =
  | { readonly kind: 'answer'; readonly answer: ReceivedAnswer }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'lost'; readonly reason: string };

export interface ReceiverClient {
  /** With the target's Host header, credentials and signature. */
  send(target: Target, route: XferRoute, request: HttpRequest): Promise<HttpOutcome>;
  /** To a URL that carries its own signature. */
  sendTo(url: URL, request: Omit<HttpRequest, 'path'>): Promise<HttpOutcome>;
  close(): void;
}

export function createReceiverClient(clock: Clock, sign: SignRequest): ReceiverClient {
  const http = new HttpAgent({ keepAlive: true });
  const https = new HttpsAgent({ keepAlive: true });
  const open = (tls: boolean, host: string, port: number, request: HttpRequest): ClientRequest => {
    const { method, path, headers, body } = request;
    const contentLength = body.reduce((sum, piece) => sum + piece.length, 0);
    const options = { host, port, method, path, headers: { ...headers, 'content-length': contentLength } };
    if (!tls) return httpRequest({ ...options, agent: http });
    return httpsRequest({ ...options, agent: https, ...(isIP(host) === 0 && { servername: host }) });
  };
  return {
    async send(target, route, request) {
      const host = target.host ?? hostHeader(route);
      const named: Record<string, string> = { 'user-agent': 'delay-xfer-sidecar', host, ...request.headers };
      if (target.credentials !== undefined) named['authorization'] = basic(target.credentials);
      let headers: Readonly<Record<string, string>> = named;
      if (route.sigv4) {
        try {
          headers = await sign(route, { ...request, headers: named });
        } catch (error) {
          return { kind: 'unreachable', reason: `the request cannot be signed: ${messageOf(error)}` };
        }
      }
      const timed = { ...request, headers };
      return perform(clock, timed, () => open(route.tls, route.host, route.port, timed));
    },
    async sendTo(url, request) {
      const tls = url.protocol === 'https:';
      const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const whole = { ...request, path: `${url.pathname}${url.search}` };
      return perform(clock, whole, () => open(tls, host, port, whole));
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

const MAX_ANSWER_BYTES = 1024 * 1024;

async function perform(clock: Clock, request: HttpRequest, open: () => ClientRequest): Promise<HttpOutcome> {
  let outgoing: ClientRequest;
  try {
    outgoing = open();
  } catch (error) {
    // Node refuses characters in paths and headers: what a receiver gave us may hold them.
    return { kind: 'unreachable', reason: `the request cannot be made: ${messageOf(error)}` };
  }
  return new Promise((resolve) => {
    let left = false;
    const settle = (outcome: HttpOutcome): void => {
      cancelTimer();
      resolve(outcome);
    };
    const fail = (reason: string): void => {
      settle({ kind: left ? 'lost' : 'unreachable', reason });
      outgoing.destroy();
    };
    const cancelTimer = clock.after(request.timeoutMs, () => {
      fail(
        left ? `no answer within ${request.timeoutMs} ms` : `no connection within ${request.timeoutMs} ms`,
      );
    });
    outgoing.on('socket', (socket) => {
      const ready = (): void => {
        left = true;
      };
      if (!socket.connecting) ready();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', ready);
    });
    outgoing.on('error', (error) => fail(messageOf(error)));
    outgoing.on('response', (response) => {
      readAnswer(response).then(
        (answer) => settle({ kind: 'answer', answer }),
        (error: unknown) => fail(messageOf(error)),
      );
    });
    for (const piece of request.body) outgoing.write(piece);
    outgoing.end();
  });
}

async function readAnswer(response: IncomingMessage): Promise<ReceivedAnswer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of response) {
    if (!Buffer.isBuffer(piece)) throw new Error('an answer without an encoding comes as buffers');
    sizeBytes += piece.length;
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error(`the answer is over ${MAX_ANSWER_BYTES} octets`);
    pieces.push(piece);
  }
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { status: response.statusCode ?? 0, headers, body: Buffer.concat(pieces) };
}

function hostHeader(route: XferRoute): string {
  const host = route.host.includes(':') ? `[${route.host}]` : route.host;
  return route.port === (route.tls ? 443 : 80) ? host : `${host}:${route.port}`;
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A name with several addresses fails with one error for all of them.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error.message;
}
