// A timer for a delivery, and its form in the queue: one line of JSON that names the delivery and says when.

import * as z from 'zod/mini';
import { ID_PATTERN } from '../xfer/message.ts';
import type { DeliveryItem } from './delivery.ts';
import type { Timer } from './ports.ts';

const TIMER_VERSION = 1;

const name = z.string().check(z.regex(ID_PATTERN));
const integer = z.number().check(z.int(), z.nonnegative());
const timerBody = z.strictObject({
  v: z.literal(TIMER_VERSION),
  credential: name,
  id: name,
  chunk: integer,
  generation: integer,
  mark: z.string(),
  domain: z.string(),
  binding: z.string(),
  notBeforeMs: integer,
  receivedAtMs: integer,
  expiresAtMs: integer,
  sizeBytes: integer,
  owing: z.exactOptional(z.literal(true)),
});

/** The timer for the delivery's current mark and due time. */
export function timerFor(item: DeliveryItem): Timer {
  const { facts, dueAtMs, mark } = item.delivery;
  return {
    key: item.key,
    generation: item.generation,
    mark,
    domain: facts.domain,
    binding: facts.binding,
    notBeforeMs: dueAtMs,
    receivedAtMs: facts.receivedAtMs,
    expiresAtMs: facts.expiresAtMs,
    sizeBytes: facts.sizeBytes,
  };
}

/** The timer of a closed delivery that owes reports: due at once. */
export function owingTimerFor(item: DeliveryItem, nowMs: number): Timer {
  const timer = timerFor(item);
  return { ...timer, notBeforeMs: Math.min(timer.notBeforeMs, nowMs), owing: true };
}

/** Whole seconds from now to the due time, never early, within what SQS can delay. */
export function delaySeconds(dueAtMs: number, nowMs: number, maxDelayMs: number): number {
  return Math.ceil(Math.min(Math.max(dueAtMs - nowMs, 0), maxDelayMs) / 1_000);
}

export function formatTimer(timer: Timer): string {
  const { key, ...facts } = timer;
  return JSON.stringify({ v: TIMER_VERSION, ...key, ...facts });
}

/** Undefined when the text is not one of our timers. */
export function parseTimer(text: string): Timer | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = timerBody.safeParse(json);
  if (!parsed.success) return undefined;
  const { v: _version, credential, id, chunk, ...facts } = parsed.data;
  return { key: { credential, id, chunk }, ...facts };
}
