// The wait between two tries at the same receiver.

const FIRST_MS = 500;
const MOST_MS = 5_000;

/** 0.5, 1, 2, 4 and then 5 s after the n-th try, each between 80 and 120 %; `random` is in [0, 1). */
export function backoffMs(tried: number, random: number): number {
  const baseMs = Math.min(FIRST_MS * 2 ** Math.min(tried - 1, 10), MOST_MS);
  return Math.round(baseMs * (0.8 + 0.4 * random));
}
