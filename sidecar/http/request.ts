// One request to the HTTP listener: what its path and method ask for, and the answer.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHeaders } from '../../shared/xfer/body.ts';
import { KUMOMTA_PATH } from '../../shared/xfer/kumo.ts';
import { MAX_FRAMES, MAX_MESSAGE_BYTES, type TransferLimits } from '../../shared/xfer/limits.ts';
import { ID_PATTERN } from '../../shared/xfer/message.ts';
import { parsePatience } from '../../shared/xfer/patience.ts';
import { formatProblem, type Problem, problem, type WireAnswer } from '../../shared/xfer/problem.ts';
import { formatWithdrawn } from '../../shared/xfer/withdrawal.ts';
import type { Clock } from '../clock.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { RefusalReason } from '../intake/refusals.ts';
import { targetOf } from './access.ts';
import { answerOf, later, RETRY_AFTER_SECONDS } from './answer.ts';
import { readBody } from './body-reader.ts';
import type { HttpSettings } from './settings.ts';
import { handOverAll } from './transfer.ts';
import type { Ways } from './ways.ts';

export interface RequestContext {
  readonly request: IncomingMessage;
  /** Tells a client that asked that its body is wanted. */
  readonly proceed: () => void;
  readonly settings: HttpSettings;
  readonly memory: MemoryBudget;
  readonly clock: Clock;
  readonly startMs: number;
  readonly gone: AbortSignal;
  /** Filled with what the request is about, for the trace. */
  readonly ids: string[];
}

/** Content of one message is taken up to the receiver's own limit; several share a request beyond it. */
export const TRANSFER_LIMITS: TransferLimits = {
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxInflatedBytes: MAX_MESSAGE_BYTES + 14 * 1024 * 1024,
  maxFrames: MAX_FRAMES,
};

/** Handoff_Deadline's default: nobody is made to wait longer. */
const MAX_PATIENCE_MS = 120_000;

const DELAY_MESSAGE_PATH = '/delay_message';
const UPLOADS_PATH = `${DELAY_MESSAGE_PATH}/uploads`;

/** Rejects when the body breaks off. */
export async function answerRequest(context: RequestContext): Promise<WireAnswer> {
  const { request, settings } = context;
  const { method = '' } = request;
  const { path } = targetOf(request);
  const route = routeOf(path, method);
  if (route === undefined) {
    const detail = `there is nothing at this path; transfers go to ${DELAY_MESSAGE_PATH}`;
    return refuse(settings, problem('not-found', detail));
  }
  // What can be asked with GET can be asked with HEAD (RFC 9110 §9.3.2).
  const methods = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
  if (!methods.includes(method)) {
    const allow = methods.join(', ');
    const answer = refuse(settings, problem('method-not-allowed', `this path takes ${allow}`));
    return { ...answer, headers: { ...answer.headers, allow } };
  }
  switch (route.kind) {
    case 'health':
      return healthOf(settings.ways);
    case 'upload': {
      const detail = 'the sidecar takes content up to 50 MiB in the transfer itself, and uploads it onward';
      return refuse(settings, problem('not-found', detail));
    }
    case 'withdraw':
      return withdraw(context, route.id);
    case 'transfer':
      return transfer(context, route.endpoint);
  }
}

/** 503 while no route to any receiver is up, so that whoever balances load goes elsewhere. */
export function healthOf(ways: Pick<Ways, 'anyUp'>): WireAnswer {
  const up = ways.anyUp();
  return {
    status: up ? 200 : 503,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status: up ? 'up' : 'no-route' }),
  };
}

type Route =
  | { readonly kind: 'health'; readonly method: 'GET' }
  | { readonly kind: 'transfer'; readonly method: 'POST'; readonly endpoint: 'xfer' | 'kumomta' }
  | { readonly kind: 'upload'; readonly method: 'POST' }
  | { readonly kind: 'withdraw'; readonly method: 'DELETE'; readonly id: string };

function routeOf(path: string, method: string): Route | undefined {
  switch (path) {
    case '/health':
      return { kind: 'health', method: 'GET' };
    case DELAY_MESSAGE_PATH:
      return { kind: 'transfer', method: 'POST', endpoint: 'xfer' };
    case KUMOMTA_PATH:
      return { kind: 'transfer', method: 'POST', endpoint: 'kumomta' };
    case UPLOADS_PATH:
      // A message may be called "uploads" as well: only DELETE can mean it.
      if (method !== 'DELETE') return { kind: 'upload', method: 'POST' };
  }
  const id = path.startsWith(`${DELAY_MESSAGE_PATH}/`) ? path.slice(DELAY_MESSAGE_PATH.length + 1) : '';
  return ID_PATTERN.test(id) ? { kind: 'withdraw', method: 'DELETE', id } : undefined;
}

async function withdraw(
  { request, settings, startMs, ids }: RequestContext,
  id: string,
): Promise<WireAnswer> {
  const asked = parsePatience(header(request, 'x-xfer-patience-ms'), MAX_PATIENCE_MS);
  if (!asked.ok) return refuse(settings, asked.problem);
  ids.push(id);
  const outcome = await settings.ways.recall(id, startMs + asked.patienceMs);
  switch (outcome.kind) {
    case 'withdrawn':
      return formatWithdrawn(id);
    case 'kept': {
      const detail = `a delivery of the message has begun; it is ${outcome.state}`;
      return formatProblem(problem('not-withdrawn', detail, { id, state: outcome.state }));
    }
    case 'unknown':
      return later('in-doubt', `the withdrawal is not settled, ask again: ${outcome.reason}`);
  }
}

async function transfer(context: RequestContext, endpoint: 'xfer' | 'kumomta'): Promise<WireAnswer> {
  const { request, settings, memory, clock, startMs, gone, ids } = context;
  const { ways } = settings;
  const asked = parsePatience(header(request, 'x-xfer-patience-ms'), MAX_PATIENCE_MS);
  if (!asked.ok) return refuse(settings, asked.problem);
  if (!ways.anyUp()) {
    settings.refused?.('no-route');
    return later('unavailable', 'no route to any receiver is up');
  }
  const read = await readBody(
    { endpoint, headers: headersOf(request), body: wantedBody(context) },
    { limits: TRANSFER_LIMITS, nowMs: clock.nowMs(), makeId: randomUUID, memory },
  );
  if (!read.ok) return refuse(settings, read.problem, read.failure);
  ids.push(...read.messages.map((one) => (one.kind === 'refused' ? one.id : one.header.id)));
  try {
    const patienceEndMs = startMs + asked.patienceMs;
    const peer = request.socket.remoteAddress ?? '';
    const terms = { peer, arrivedAtMs: startMs, startedAtMs: clock.nowMs(), patienceEndMs, gone };
    return answerOf(read.format, await handOverAll(ways, read.messages, terms));
  } finally {
    read.release();
  }
}

/** Says no, and counts it: for the size or another fault of the request, where no other reason is given. */
function refuse(
  { refused }: HttpSettings,
  fault: Problem,
  reason: RefusalReason = fault.status === 413 ? 'size' : 'request',
): WireAnswer {
  refused?.(reason);
  const comesBack = fault.status === 429 || fault.status === 503;
  return formatProblem(fault, comesBack ? RETRY_AFTER_SECONDS : undefined);
}

/** Asked for once its reader has found nothing against its headers, and not sent before by a client that waits. */
async function* wantedBody({ request, proceed }: RequestContext): AsyncGenerator<Buffer> {
  proceed();
  yield* request.iterator({ destroyOnReturn: false });
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

function headersOf({ headers }: IncomingMessage): RequestHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
  );
}
