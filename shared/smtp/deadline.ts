// One timer for all that a session waits for. It is moved lazily: a deadline that is put off costs no timer, and
// only one that comes nearer than the timer's next ring sets it anew.

export interface Deadline {
  /** From now, milliseconds; replaces what was allowed before. */
  allow(ms: number): void;
  /** Nothing is waited for. */
  lift(): void;
  /** For good. */
  stop(): void;
}

export function createDeadline(onExpired: () => void): Deadline {
  let dueAt = Number.POSITIVE_INFINITY;
  let ringsAt = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  function set(at: number, now: number): void {
    clearTimeout(timer);
    ringsAt = at;
    timer = setTimeout(ring, Math.max(at - now, 1));
  }

  function ring(): void {
    const now = performance.now();
    ringsAt = Number.POSITIVE_INFINITY;
    timer = undefined;
    // Timers may ring a fraction of a millisecond early.
    if (dueAt <= now + 1) {
      dueAt = Number.POSITIVE_INFINITY;
      onExpired();
    } else if (dueAt !== Number.POSITIVE_INFINITY) set(dueAt, now);
  }

  return {
    allow(ms) {
      if (isStopped) return;
      const now = performance.now();
      dueAt = now + ms;
      if (dueAt < ringsAt) set(dueAt, now);
    },
    lift() {
      dueAt = Number.POSITIVE_INFINITY;
    },
    stop() {
      isStopped = true;
      dueAt = Number.POSITIVE_INFINITY;
      clearTimeout(timer);
    },
  };
}
