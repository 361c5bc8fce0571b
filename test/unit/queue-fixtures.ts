// Deliveries and incoming messages for unit tests, with every field literal.

import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import type { Incoming, PlanContext } from '../../shared/queue/accept.ts';
import type { Delivery, DeliveryItem } from '../../shared/queue/delivery.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';

export const NOW = Date.UTC(2026, 10, 22, 10, 0, 0);
export const MINUTE = 60_000;

export function deliveryItem(
  changes: Partial<Delivery> = {},
  item: Partial<DeliveryItem> = {},
): DeliveryItem {
  return {
    key: { credential: 'acme', id: 'm1', chunk: 0 },
    rev: 3,
    generation: 1,
    commit: { state: 'committed', chunks: 0, sha256: 'aa', sender: 'a@sender.example' },
    delivery: {
      facts: {
        domain: 'example.net',
        binding: 'default',
        sender: 'a@sender.example',
        body: '7BIT',
        smtputf8: false,
        requireTls: false,
        sizeBytes: 1_000,
        sha256: 'aa',
        content: { key: 'k/transfer', offset: 100, shared: false },
        trace: 'Received: from unknown\r\n',
        receivedAtMs: NOW,
        acceptedAtMs: NOW,
        expiresAtMs: NOW + 5 * 24 * 60 * MINUTE,
        priorAttempts: 0,
        meta: {},
      },
      state: 'open',
      recipients: [{ address: 'one@example.net' }],
      dueAtMs: NOW,
      attempts: 0,
      everLeased: false,
      unsettledLeases: 0,
      mark: 'mark-1',
      parked: false,
      owed: [],
      lastOwed: 0,
      delaySteps: 0,
      guardAtMs: NOW + QUEUE_LIMITS.queueVisibilityMs + 5 * MINUTE,
      ...changes,
    },
    ...item,
  };
}

export function incoming(addresses: readonly string[], changes: Partial<Incoming> = {}): Incoming {
  return {
    key: { credential: 'acme', id: 'm1' },
    envelope: {
      sender: 'a@sender.example',
      recipients: addresses.map((address) => ({ address })),
      body: '7BIT',
      smtputf8: false,
      requireTls: false,
    },
    sha256: 'aa',
    sizeBytes: 1_000,
    content: { key: 'new/transfer', offset: 50, shared: false },
    trace: 'Received: from unknown\r\n',
    times: { receivedAtMs: NOW, expiresAtMs: NOW + 5 * 24 * 60 * MINUTE, dueAtMs: NOW, attempts: 0 },
    binding: 'default',
    priorAttempts: 0,
    meta: {},
    ...changes,
  };
}

/** Marks are `fresh-1`, `fresh-2`, … */
export function planContext(nowMs = NOW): PlanContext {
  let marks = 0;
  const mark = () => {
    marks += 1;
    return `fresh-${marks}`;
  };
  return { nowMs, limits: QUEUE_LIMITS, tempo: DEFAULT_TEMPO, mark };
}
