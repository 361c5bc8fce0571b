// Who was delivered by an attempt of ours while the MTA did not hear so: it will hand the message over again, and
// they must not get it twice. In memory alone, for some hours and a bounded number, the oldest forgotten first.

export interface DeliveredMemory {
  /** `id` of a message for one recipient. */
  has(id: string): boolean;
  remember(id: string): void;
  forget(id: string): void;
}

/** Longer than an MTA waits between two tries: Postfix's maximal_backoff_time is 4,000 s, Exim's 8 h at most. */
const REMEMBERED_MS = 10 * 3_600_000;
const MAX_REMEMBERED = 100_000;

export function createDeliveredMemory(nowMs: () => number): DeliveredMemory {
  const untilMs = new Map<string, number>();
  return {
    has: (id) => (untilMs.get(id) ?? 0) > nowMs(),
    remember(id) {
      untilMs.delete(id);
      untilMs.set(id, nowMs() + REMEMBERED_MS);
      for (const [oldest, until] of untilMs) {
        if (untilMs.size <= MAX_REMEMBERED && until > nowMs()) break;
        untilMs.delete(oldest);
      }
    },
    forget(id) {
      untilMs.delete(id);
    },
  };
}
