// The part of a delivery that is only read whole, as one JSON string in its ledger item. An item under 1 KB costs
// half of a larger one in every write, so what has its usual value is left out, and so is what can be told from
// the rest of the item: reverse path and hash of the commit beside it, the trace's text. Nothing is lost.
// Invariant: what is left out never gets another usual value, and traceHeader's text never changes, unless the
// item's version does. Test: "a stored item reads as it was written".

import * as z from 'zod/mini';
import { traceHeader } from '../message/trace.ts';
import type { Commit, Delivery, OwedReport } from '../queue/delivery.ts';

/** What is no attribute of its own. */
export type DeliveryDoc = Omit<
  Delivery,
  'state' | 'dueAtMs' | 'lease' | 'everLeased' | 'unsettledLeases' | 'mark'
>;

/** The rest of the item. */
export interface DocContext {
  readonly id: string;
  readonly commit: Commit | undefined;
}

export function formatDeliveryDoc(doc: DeliveryDoc, { id, commit }: DocContext): string {
  const { facts } = doc;
  return JSON.stringify({
    ...doc,
    facts: {
      ...facts,
      binding: unless(facts.binding, USUAL.binding),
      sender: unless(facts.sender, commit?.sender),
      body: unless(facts.body, USUAL.body),
      smtputf8: unless(facts.smtputf8, false),
      requireTls: unless(facts.requireTls, false),
      sha256: unless(facts.sha256, commit?.sha256),
      trace: shortTrace(facts.trace, id, facts.acceptedAtMs),
      priorAttempts: unless(facts.priorAttempts, 0),
      meta: Object.keys(facts.meta).length === 0 ? undefined : facts.meta,
    },
    attempts: unless(doc.attempts, 0),
    parked: unless(doc.parked, false),
    owed: doc.owed.length === 0 ? undefined : doc.owed.map(shortOwed),
    lastOwed: unless(doc.lastOwed, highest(doc.owed)),
    delaySteps: unless(doc.delaySteps, 0),
  });
}

/** Throws when the text is not what `formatDeliveryDoc` writes. */
export function parseDeliveryDoc(text: string, { id, commit }: DocContext): DeliveryDoc {
  const doc = deliveryDoc.parse(JSON.parse(text));
  const { facts } = doc;
  const sender = facts.sender ?? commit?.sender;
  const sha256 = facts.sha256 ?? commit?.sha256;
  if (sender === undefined || sha256 === undefined) {
    throw new Error('a ledger item has neither a commit nor its own reverse path and hash');
  }
  const { trace } = facts;
  const whole = typeof trace === 'string' ? trace : longTrace(trace, id, facts.acceptedAtMs);
  const lastOwed = doc.lastOwed ?? highest(doc.owed);
  return { ...doc, lastOwed, facts: { ...facts, sender, sha256, trace: whole } };
}

/** JSON leaves out what is undefined. */
function unless<T>(value: T, usual: T | undefined): T | undefined {
  return value === usual ? undefined : value;
}

// Reports were failures before there were others, and none left the list.
function shortOwed(owed: OwedReport) {
  return { ...owed, kind: unless(owed.kind, USUAL.report) };
}

function highest(owed: readonly { readonly n: number }[]): number {
  return Math.max(0, ...owed.map(({ n }) => n));
}

interface ShortTrace {
  readonly from: string;
  readonly by: string;
}

// A trace that was made of other facts than the item's, as of a delivery that was taken over, stays as it is.
function shortTrace(trace: string, id: string, acceptedAtMs: number): ShortTrace | string {
  const [, from, by] = /^Received: from (\S+)\r\n\tby (\S+) /.exec(trace) ?? [];
  if (from === undefined || by === undefined) return trace;
  return longTrace({ from, by }, id, acceptedAtMs) === trace ? { from, by } : trace;
}

function longTrace({ from, by }: ShortTrace, id: string, acceptedAtMs: number): string {
  return traceHeader({ id, acceptedAtMs, receivedFrom: from, traceHost: by }).toString('latin1');
}

const USUAL = { binding: 'default', body: '7BIT', report: 'failure' } as const;

const integer = z.number().check(z.int());
const hostReply = z.strictObject({
  code: integer,
  enhanced: z.exactOptional(z.string()),
  text: z.string(),
  host: z.exactOptional(z.string()),
});
const ending = z.strictObject({
  kind: z.enum(['delivered', 'bounced', 'expired', 'cancelled', 'withdrawn']),
  atMs: integer,
  reply: hostReply,
});
const recipient = z.strictObject({
  address: z.string(),
  orcpt: z.exactOptional(z.string()),
  notify: z.exactOptional(z.array(z.enum(['NEVER', 'SUCCESS', 'FAILURE', 'DELAY']))),
  ending: z.exactOptional(ending),
});
const owedReport = z.strictObject({
  n: integer,
  kind: z._default(z.enum(['failure', 'delay', 'relayed']), USUAL.report),
  atMs: integer,
  recipients: z.array(integer),
  replies: z.exactOptional(z.array(hostReply)),
});
const deliveryDoc = z.strictObject({
  facts: z.strictObject({
    domain: z.string(),
    binding: z._default(z.string(), USUAL.binding),
    sender: z.exactOptional(z.string()),
    body: z._default(z.enum(['7BIT', '8BITMIME']), USUAL.body),
    smtputf8: z._default(z.boolean(), false),
    requireTls: z._default(z.boolean(), false),
    envid: z.exactOptional(z.string()),
    ret: z.exactOptional(z.enum(['FULL', 'HDRS'])),
    sizeBytes: integer,
    sha256: z.exactOptional(z.string()),
    content: z.strictObject({ key: z.string(), offset: integer, shared: z.boolean() }),
    trace: z.union([z.string(), z.strictObject({ from: z.string(), by: z.string() })]),
    receivedAtMs: integer,
    acceptedAtMs: integer,
    expiresAtMs: integer,
    priorAttempts: z._default(integer, 0),
    meta: z._default(z.record(z.string(), z.unknown()), {}),
  }),
  recipients: z.array(recipient),
  attempts: z._default(integer, 0),
  parked: z._default(z.boolean(), false),
  sentAtMs: z.exactOptional(integer),
  lastReply: z.exactOptional(hostReply),
  owed: z._default(z.array(owedReport), []),
  lastOwed: z.exactOptional(integer),
  delaySteps: z._default(integer, 0),
  heldBecause: z.exactOptional(z.string()),
  guardAtMs: integer,
});
