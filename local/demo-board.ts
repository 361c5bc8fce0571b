// What has become of each message of the demo so far, from the log records of the functions. Pure but for its
// own state: time comes in with the records.

import { domainOf } from '../shared/message/address.ts';
import type { MessageKey } from '../shared/queue/delivery.ts';
import { REPORT_CREDENTIAL } from '../shared/queue/pay-reports.ts';
import type { LogRecord } from '../shared/records/records.ts';
import type { DemoMessage } from './demo-story.ts';

export type RecipientEnd = 'delivered' | 'failed' | 'expired' | 'cancelled' | 'withdrawn';

export interface Standing {
  readonly message: DemoMessage;
  /** What the receiver knows the message by: one key, unless something is wrong. */
  readonly keys: readonly MessageKey[];
  readonly ends: ReadonlyMap<string, RecipientEnd>;
  /** Attempts of the recipient that has most. */
  readonly attempts: number;
  /** Why the message was not taken. */
  readonly refusal: string | undefined;
  /** A report of failed recipients has reached the sender. */
  readonly reported: boolean;
  /** What happened last, for people. */
  readonly latest: string;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
}

export interface Board {
  readonly standings: readonly Standing[];
  started(message: DemoMessage, atMs: number): void;
  refused(message: DemoMessage, reason: string, atMs: number): Standing | undefined;
  /** The standing that the record changed; undefined when it is about something else. */
  record(record: LogRecord): Standing | undefined;
  /** Every recipient of every message has ended and its sender was told of failures, or it was not taken. */
  finished(): boolean;
}

/** Domain in A-labels: how one recipient is the same in records, envelopes and at the destination. */
export function sameAddress(address: string): string {
  return `${address.slice(0, address.lastIndexOf('@'))}@${domainOf(address)}`;
}

/** Whether somebody is to be told of a failure. */
export function isReported({ envelope, expected }: DemoMessage): boolean {
  return envelope.sender !== '' && [...expected.values()].includes('failed');
}

export function createBoard(story: readonly DemoMessage[]): Board {
  const standings = story.map(
    (message): Standing => ({
      message,
      keys: [],
      ends: new Map(),
      attempts: 0,
      refusal: undefined,
      reported: false,
      latest: '',
      startedAtMs: undefined,
      endedAtMs: undefined,
    }),
  );
  const indexOf = new Map(
    story.flatMap(({ expected }, index) =>
      [...expected.keys()].map((address) => [sameAddress(address), index]),
    ),
  );
  const senders = new Map(story.map(({ envelope }, index) => [sameAddress(envelope.sender), index]));
  const tries = new Map<string, number>();
  /** A log may tell an event twice. */
  const told = new Set<string>();

  const change = (index: number, changes: Partial<Standing>): Standing | undefined => {
    const before = standings[index];
    if (before === undefined) return undefined;
    const after = { ...before, ...changes };
    standings[index] = after;
    return after;
  };
  return {
    standings,
    started(message, atMs) {
      change(message.number - 1, { startedAtMs: atMs, latest: 'handed over' });
    },
    refused(message, reason, atMs) {
      return change(message.number - 1, { refusal: reason, latest: `not taken: ${reason}`, endedAtMs: atMs });
    },
    record(record) {
      if (told.has(record.event_id)) return undefined;
      told.add(record.event_id);
      const address = sameAddress(record.recipient);
      if (record.credential === REPORT_CREDENTIAL) {
        const about = senders.get(address);
        return record.type !== 'Delivery' || about === undefined
          ? undefined
          : change(about, { reported: true, latest: 'reported to its sender' });
      }
      const index = indexOf.get(address);
      const before = index === undefined ? undefined : standings[index];
      if (index === undefined || before === undefined) return undefined;
      const attempt = isAttempt(record);
      const attempts = (tries.get(address) ?? 0) + (attempt ? 1 : 0);
      tries.set(address, attempts);
      const end = endOf(record);
      const ends = end === undefined ? before.ends : new Map(before.ends).set(address, end);
      const finished = ends.size === before.message.expected.size;
      return change(index, {
        keys: withKey(before.keys, record),
        ends,
        attempts: Math.max(before.attempts, attempts),
        latest: describe(record, ends.size, before.message.expected.size),
        ...(finished && before.endedAtMs === undefined ? { endedAtMs: record.timestamp * 1_000 } : {}),
      });
    },
    finished: () =>
      standings.every(
        ({ message, refusal, reported, endedAtMs }) =>
          endedAtMs !== undefined && (reported || refusal !== undefined || !isReported(message)),
      ),
  };
}

function withKey(keys: readonly MessageKey[], { credential, id }: LogRecord): readonly MessageKey[] {
  const known = keys.some((key) => key.id === id && key.credential === credential);
  return known ? keys : [...keys, { credential, id }];
}

function isAttempt({ type }: LogRecord): boolean {
  return type === 'Delivery' || type === 'TransientFailure' || type === 'Uncertain' || type === 'Bounce';
}

function endOf({ type }: LogRecord): RecipientEnd | undefined {
  switch (type) {
    case 'Delivery':
      return 'delivered';
    case 'Bounce':
      return 'failed';
    case 'Expiration':
      return 'expired';
    case 'AdminBounce':
      return 'cancelled';
    case 'Withdrawn':
      return 'withdrawn';
    case 'XferIn':
    case 'TransientFailure':
    case 'Uncertain':
    case 'Delayed':
    case 'Held':
      return undefined;
  }
}

function describe(record: LogRecord, ended: number, all: number): string {
  const reply = record.response === undefined ? '' : `${record.response.code} ${record.response.content}`;
  const count = all > 1 ? ` ${ended} of ${all}` : '';
  switch (record.type) {
    case 'XferIn':
      return 'accepted';
    case 'Delivery':
      return `delivered${count}`;
    case 'Bounce':
      return `failed${count}: ${reply}`;
    case 'TransientFailure':
      return `deferred: ${reply}`;
    case 'Uncertain':
      return `uncertain: ${reply}`;
    case 'Expiration':
      return `expired${count}`;
    case 'AdminBounce':
      return `cancelled${count}`;
    case 'Withdrawn':
      return 'withdrawn';
    case 'Held':
      return 'held';
    case 'Delayed':
      return 'delayed';
  }
}
