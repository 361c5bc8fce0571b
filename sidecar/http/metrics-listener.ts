// Answers Prometheus, and whoever asks whether the sidecar can hand mail over, on the loopback interface.

import { createServer } from 'node:http';
import type { WireAnswer } from '../../shared/xfer/problem.ts';
import { refuseName, targetOf } from './access.ts';
import { bind } from './bind.ts';

export interface MetricsListenerOptions {
  /** Of the loopback interface. */
  readonly address: string;
  readonly port: number;
  /** A name that requests may be addressed to, beside localhost and addresses. */
  readonly hostName: string;
  readonly contentType: string;
  /** The text of `GET /metrics`. */
  readonly metrics: () => Promise<string>;
  /** The answer to `GET /health`. */
  readonly health: () => WireAnswer;
}

export interface MetricsListener {
  readonly address: string;
  readonly port: number;
  close(graceMs: number): Promise<void>;
}

const MAX_CONNECTIONS = 20;

/** Rejects with the system's error when the address cannot be bound. */
export async function listenMetrics(options: MetricsListenerOptions): Promise<MetricsListener> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 75_000 });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => {
    const { path } = targetOf(request);
    const read = request.method === 'GET' || request.method === 'HEAD';
    const refusal = refuseName(request, options.hostName);
    const answering =
      refusal === undefined
        ? answerTo(options, path, read)
        : Promise.resolve(plain(refusal.problem.status, `${refusal.problem.detail}\n`));
    answering.then(
      ({ status, headers, body }) => {
        response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
        response.end(request.method === 'HEAD' ? undefined : body);
      },
      () => response.destroy(),
    );
    request.resume();
  });
  const bound = await bind(server, options);
  return {
    ...bound,
    async close(graceMs) {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), Math.min(graceMs, 2_000));
      await ended;
      clearTimeout(cut);
    },
  };
}

async function answerTo(options: MetricsListenerOptions, path: string, read: boolean): Promise<WireAnswer> {
  if (!read) return plain(405, 'only GET\n');
  switch (path) {
    case '/metrics':
      return {
        status: 200,
        headers: { 'content-type': options.contentType },
        body: await options.metrics(),
      };
    case '/health':
      return options.health();
    default:
      return plain(404, 'there are /metrics and /health\n');
  }
}

function plain(status: number, body: string): WireAnswer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body };
}
