// The sidecar's HTTP listener: local programs hand mail over in every body of XFER/1, and hear what the receiver says.
// Slow and silent clients are bounded in time, all of them in number and in the memory that they may fill. A client
// that leaves before its answer aborts what is under way for it. Closing answers what is in flight and takes nothing new.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { formatProblem, type WireAnswer } from '../../shared/xfer/problem.ts';
import type { Clock } from '../clock.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import { refuseRequest } from './access.ts';
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
  const state = { connections: 0, closing: false };
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
  });
  server.on('connection', (socket) => {
    state.connections += 1;
    server.maxConnections = options.settings().maxConnections + SPARE_CONNECTIONS;
    socket.on('close', () => {
      state.connections -= 1;
    });
  });
  const take = (request: IncomingMessage, response: ServerResponse, proceed: () => void): void => {
    serve(options, state, request, response, proceed).catch(() => response.destroy());
  };
  server.on('request', (request, response) => take(request, response, () => undefined));
  // Who asks first whether to send the content hears a refusal instead of being told to go on.
  server.on('checkContinue', (request, response) => take(request, response, () => response.writeContinue()));
  const bound = await bind(server, options);
  return {
    address: bound.address,
    port: bound.port,
    get connections() {
      return state.connections;
    },
    async close(graceMs) {
      state.closing = true;
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await ended;
      clearTimeout(cut);
    },
  };
}

async function serve(
  options: HttpListenerOptions,
  state: { readonly connections: number; readonly closing: boolean },
  request: IncomingMessage,
  response: ServerResponse,
  proceed: () => void,
): Promise<void> {
  const settings = options.settings();
  const startMs = options.clock.nowMs();
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const refusal = refuseRequest(request, state.connections, settings);
  const ids: string[] = [];
  let answer: WireAnswer;
  if (refusal !== undefined) answer = formatProblem(refusal, retryAfter(refusal.status));
  else if (state.closing) answer = later('unavailable', 'the sidecar is stopping');
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

function retryAfter(status: number): number | undefined {
  return status === 429 || status === 503 ? RETRY_AFTER_SECONDS : undefined;
}
