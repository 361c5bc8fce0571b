// Speaks HTTP/1.1 to receivers: one request, one outcome, never a rejection. It tells apart what decides over doubles:
// `unreachable` means that nothing of the request left this machine, `lost` that it may have arrived and no answer
// came. Connections are kept and reused, and given up a second before the server would close them, as far as its
// Keep-Alive header says when. A name with several addresses is tried at each until one connects. Answers over 1 MiB
// are cut off and count as lost.

import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { XferRoute } from '../../shared/config/routes.ts';
import type { ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import type { Target } from '../routing/targets.ts';
import { perform, reasonOf } from './http-exchange.ts';
import type { SignRequest } from './signature.ts';

/** Pieces in memory, or octets that are read anew for each request. */
export type RequestBody = readonly Buffer[] | { readonly sizeBytes: number; read(): AsyncIterable<Buffer> };

export interface HttpRequest {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  /** Path with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: RequestBody;
  /** From the call to the whole answer. */
  readonly timeoutMs: number;
  /** Ends a request sooner whose body does not move for so long. */
  readonly stallMs?: number;
}

export type HttpOutcome =
  | { readonly kind: 'answer'; readonly answer: ReceivedAnswer }
  /** `ours`: for a reason on this side, which says nothing of the host. `timedOut`: the request's own time was over. */
  | {
      readonly kind: 'unreachable';
      readonly reason: string;
      readonly ours?: boolean;
      readonly timedOut?: boolean;
    }
  /** `stale`: a kept connection that ended before the first octet of an answer, as one that the server had closed. */
  | { readonly kind: 'lost'; readonly reason: string; readonly how: 'timeout' | 'cut' | 'stale' }
  /** The body could not be read or written to its end, for a reason on this side; the receiver never has it whole. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** One exchange, for a trace of the dialogue: no content, no credentials. */
export interface Exchange {
  readonly method: string;
  /** Without the query, which may hold a signature. */
  readonly url: string;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  readonly outcome: HttpOutcome;
  readonly durationMs: number;
}

export interface ReceiverClientOptions {
  readonly trace?: (exchange: Exchange) => void;
  /** Instead of the system's resolver. */
  readonly lookup?: LookupFunction;
  /** PEM certificates to trust instead of the system's. */
  readonly ca?: string;
}

export interface ReceiverClient {
  /** With the target's Host header, credentials and signature. */
  send(target: Target, route: XferRoute, request: HttpRequest): Promise<HttpOutcome>;
  /** To a URL that carries its own signature. */
  sendTo(url: URL, request: Omit<HttpRequest, 'path'>): Promise<HttpOutcome>;
  close(): void;
}

/**
 * How long a kept connection may be idle where the server does not say: below the 5 s after which Apache, Node
 * and CloudFront's origins close theirs.
 */
const MAX_IDLE_MS = 4_000;

/** Each address of a name has so long to connect before the next is tried; the last one has the whole time. */
const ADDRESS_ATTEMPT_MS = 1_000;

export function createReceiverClient(
  clock: Clock,
  sign: SignRequest,
  options: ReceiverClientOptions = {},
): ReceiverClient {
  const { lookup, ca, trace } = options;
  const agentOptions = {
    keepAlive: true,
    timeout: MAX_IDLE_MS,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  };
  const http = new HttpAgent(agentOptions);
  const https = new HttpsAgent({ ...agentOptions, ...(ca !== undefined && { ca }) });

  const exchange = async (at: Endpoint, request: HttpRequest): Promise<HttpOutcome> => {
    const { tls, host, port } = at;
    const bodyBytes = sizeOf(request.body);
    const settings: RequestOptions = {
      host,
      port,
      method: request.method,
      path: request.path,
      headers: { ...request.headers, 'content-length': bodyBytes },
      ...(lookup !== undefined && { lookup }),
    };
    const open = () =>
      tls
        ? httpsRequest({ ...settings, agent: https, ...(isIP(host) === 0 && { servername: host }) })
        : httpRequest({ ...settings, agent: http });
    const startMs = clock.nowMs();
    const outcome = await perform(clock, request, host, open);
    trace?.({
      method: request.method,
      url: `${tls ? 'https' : 'http'}://${hostAndPort(at)}${request.path.replace(/\?.*$/s, '')}`,
      requestHeaders: withoutSecrets(request.headers),
      bodyBytes,
      outcome,
      durationMs: clock.nowMs() - startMs,
    });
    return outcome;
  };

  return {
    async send(target, route, request) {
      const host = target.host ?? hostAndPort(route);
      const named: Record<string, string> = { 'user-agent': 'delay-xfer-sidecar', host, ...request.headers };
      if (target.credentials !== undefined) named['authorization'] = basic(target.credentials);
      if (!route.sigv4) return exchange(route, { ...request, headers: named });
      const startMs = clock.nowMs();
      const signed = await within(clock, request.timeoutMs, sign(route, { ...request, headers: named }));
      if (!signed.ok)
        return { kind: 'unreachable', ours: true, reason: `the request cannot be signed: ${signed.reason}` };
      const timeoutMs = Math.max(request.timeoutMs - (clock.nowMs() - startMs), 1);
      return exchange(route, { ...request, headers: signed.value, timeoutMs });
    },
    async sendTo(url, request) {
      const tls = url.protocol === 'https:';
      const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
      const host = url.hostname.replace(/^\[|\]$/g, '');
      return exchange({ tls, host, port }, { ...request, path: `${url.pathname}${url.search}` });
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

interface Endpoint {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
}

export function sizeOf(body: RequestBody): number {
  return 'read' in body ? body.sizeBytes : body.reduce((sum, piece) => sum + piece.length, 0);
}

function hostAndPort({ tls, host, port }: Endpoint): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`;
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const secret = ['authorization', 'x-amz-security-token'];
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, secret.includes(name.toLowerCase()) ? '…' : value]),
  );
}

type Within<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

// Credentials may come from a service that does not answer.
function within<Value>(clock: Clock, timeoutMs: number, work: Promise<Value>): Promise<Within<Value>> {
  return new Promise((resolve) => {
    const late = { ok: false, reason: `no credentials came within ${timeoutMs} ms` } as const;
    const cancel = clock.after(timeoutMs, () => resolve(late));
    work.then(
      (value) => {
        cancel();
        resolve({ ok: true, value });
      },
      (error: unknown) => {
        cancel();
        resolve({ ok: false, reason: reasonOf(error) });
      },
    );
  });
}
