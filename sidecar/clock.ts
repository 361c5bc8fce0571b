// Time for the sidecar, as an argument, so that a test can hold it.

export interface Clock {
  nowMs(): number;
  /** Runs `wake` once after the delay; the answer cancels it. */
  after(delayMs: number, wake: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, wake) {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
