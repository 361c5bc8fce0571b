// When a delay is reported: Delay_DSN_Retry_Interval after reception, then after twice that, four times that, and
// so on, up to Delay_DSN_Max_Retry_Interval from one to the next. A step that passed while nothing was attempted
// is not made up for.

import type { ReportSettings } from './settings.ts';

type Intervals = Pick<ReportSettings, 'delayDsnRetryIntervalMs' | 'delayDsnMaxRetryIntervalMs'>;

/** Steps that have passed `elapsedMs` after reception. */
export function delaySteps(elapsedMs: number, intervals: Intervals): number {
  const { delayDsnMaxRetryIntervalMs: cap } = intervals;
  let interval = intervals.delayDsnRetryIntervalMs;
  if (!(interval > 0)) return 0;
  let steps = 0;
  let atMs = interval;
  while (atMs <= elapsedMs) {
    steps += 1;
    // A cap below the first interval would not be one.
    interval =
      cap > 0 ? Math.min(interval * 2, Math.max(cap, intervals.delayDsnRetryIntervalMs)) : interval * 2;
    atMs += interval;
  }
  return steps;
}
