// The sidecar's HTTP listener: local programs hand mail over in every body of XFER/1, and hear what the receiver says.
// Strangers hold no connection. Slow and silent clients are bounded in time, all of them in number and in the memory
// that they may fill. A client that leaves before its answer aborts what is under way for it. Closing answers what is in flight and takes nothing new.

import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { formatProblem, type WireAnswer } from '../../shared/xfer/problem.ts';
import type { Clock } from '../clock.ts';
import { peerOf } from '../intake/admission.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import { refuseRequest, refuseStranger } from './access.ts';
import { later, RETRY_AFTER_SECONDS } from './answer.ts';
import { bind } from './bind.ts';
import { answerRequest } from './request.ts';
import type { HttpSettings } from './settings.ts';

export interface HttpListenerOptions {
  readonly address: string;
  readonly port: number;
  /** Shared by all listeners of the process. */
  readonly memory: MemoryBudget;
  readonly clock: Clock;
  /** What holds now; asked at each request. */
  readonly settings: () => HttpSettings;
}

export interface HttpListener {
  readonly address: string;
  readonly port: number;
  readonly connections: number;
  /** Resolves when every request has its answer; connections that take longer than `graceMs` are cut. */
  close(graceMs: number): Promise<void>;
}

/** A request's header must be there by then. */
const HEADERS_TIMEOUT_MS = 20_000;
/** A whole request, 50 MiB of content included, must be there by then; its answer may take longer. */
const REQUEST_TIMEOUT_MS = 120_000;
/** How long a connection is kept without a request on it. */
const KEEP_ALIVE_MS = 75_000;
/** Connections past the limit hear 503; past this many more they are dropped. */
const SPARE_CONNECTIONS = 50;

/** Rejects with the system's error when the address cannot be bound. */
export async function listenHttp(options: HttpListenerOptions): Promise<HttpListener> {
  const state: State = { open: new Map(), closing: false };
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
  });
  const bound = (): number => options.settings().maxConnections + SPARE_CONNECTIONS;
  server.maxConnections = bound();
  server.on('connection', (socket) => {
    server.maxConnections = bound();
    const { relayHosts, refused, trace } = options.settings();
    const peer = peerOf(socket, relayHosts);
    if (!peer.trusted) {
      const { reason, problem } = refuseStranger(peer.address);
      refused?.(reason);
      trace?.({ peer: peer.address, method: '', path: '', status: problem.status, durationMs: 0, ids: [] });
      turnAway(socket, formatProblem(problem));
      return;
    }
    state.open.set(socket, 0);
    socket.on('close', () => state.open.delete(socket));
  });
  server.on('drop', () => options.settings().refused?.('connections'));
  const take = (request: IncomingMessage, response: ServerResponse, proceed: () => void): void => {
    // Of a connection that is being turned away, what it asked is not read.
    if (!state.open.has(request.socket)) response.destroy();
    else serve(options, state, request, response, proceed).catch(() => response.destroy());
  };
  server.on('request', (request, response) => take(request, response, () => undefined));
  // Who asks first whether to send the content hears a refusal instead of being told to go on.
  server.on('checkContinue', (request, response) => take(request, response, () => response.writeContinue()));
  const at = await bind(server, options);
  return {
    address: at.address,
    port: at.port,
    get connections() {
      return state.open.size;
    },
    async close(graceMs) {
      state.closing = true;
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      // Node's closeIdleConnections spares who has not said anything yet.
      for (const [socket, requests] of state.open) if (requests === 0) socket.destroy();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await ended;
      clearTimeout(cut);
    },
  };
}

/** Says why, as far as the socket takes it at once: who may not speak here holds no connection open. */
function turnAway(socket: Socket, { status, headers, body }: WireAnswer): void {
  const fields = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
  socket.destroySoon();
}

interface State {
  /** Requests under way, by connection. */
  readonly open: Map<Socket, number>;
  closing: boolean;
}

async function serve(
  options: HttpListenerOptions,
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  proceed: () => void,
): Promise<void> {
  const settings = options.settings();
  const startMs = options.clock.nowMs();
  const gone = new AbortController();
  const { socket } = request;
  count(state, socket, 1);
  response.on('close', () => {
    count(state, socket, -1);
    if (!response.writableFinished) gone.abort();
  });
  const refusal = refuseRequest(request, state.open.size, settings);
  const ids: string[] = [];
  let answer: WireAnswer;
  if (refusal !== undefined) {
    settings.refused?.(refusal.reason);
    answer = formatProblem(refusal.problem, retryAfter(refusal.problem.status));
  } else if (state.closing) answer = later('unavailable', 'the sidecar is stopping');
  else {
    const { memory, clock } = options;
    answer = await answerRequest({
      request,
      proceed,
      settings,
      memory,
      clock,
      startMs,
      gone: gone.signal,
      ids,
    });
  }
  settings.trace?.({
    peer: request.socket.remoteAddress ?? '',
    method: request.method ?? '',
    path: (request.url ?? '').slice(0, 256),
    status: answer.status,
    durationMs: options.clock.nowMs() - startMs,
    ids,
  });
  const last = state.closing || refusal !== undefined;
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
    ...(last && { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
  // What is left of a body that was refused is read and dropped, within the time of a request.
  request.resume();
}

function count({ open }: State, socket: Socket, change: number): void {
  const requests = open.get(socket);
  if (requests !== undefined) open.set(socket, requests + change);
}

function retryAfter(status: number): number | undefined {
  return status === 429 || status === 503 ? RETRY_AFTER_SECONDS : undefined;
}
