// The queue's times in one value, so that a demonstration can run faster without touching any formula.

export interface Tempo {
  /** First retry interval (Momentum: Retry_Interval, there 1,200 s). */
  readonly retryIntervalMs: number;
  /** Momentum: Max_Retry_Interval, there 43,200 s. */
  readonly maxRetryIntervalMs: number;
  /** Deferrals after which a delivery expires before its time; undefined: never (Momentum: Max_Retries). */
  readonly maxRetries: number | undefined;
  /** From the moment the sending side took the message (Momentum: Message_Expiration). */
  readonly expirationMs: number;
  /** First wait of mail that was attempted elsewhere and brought no due time. */
  readonly firstWaitMinMs: number;
  readonly firstWaitMaxMs: number;
  /** A wait up to this long always keeps its timer in the queue; only longer ones are parked in the ledger. */
  readonly parkThresholdMs: number;
  /** Past due and queue visibility by this much, a delivery without news is a straggler. */
  readonly guardMs: number;
  readonly stragglerResendMs: number;
  /** How long stragglers wait while the queue itself is behind. */
  readonly stragglerPatienceMs: number;
  /** A closed delivery that owes a report is woken this often. */
  readonly owingMs: number;
  /** Chunks without a commit are ended after this. */
  readonly orphanAfterMs: number;
  /** A `by-due` partition covers this much time. */
  readonly bucketMs: number;
  readonly releasePeriodMs: number;
  /** A delivery that DNS or the invocation's end held back waits at least this long. */
  readonly postponeMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const DEFAULT_TEMPO: Tempo = {
  retryIntervalMs: 300 * SECOND,
  maxRetryIntervalMs: 14_400 * SECOND,
  maxRetries: undefined,
  expirationMs: 432_000 * SECOND,
  firstWaitMinMs: 60 * SECOND,
  firstWaitMaxMs: 120 * SECOND,
  parkThresholdMs: 900 * SECOND,
  guardMs: 300 * SECOND,
  stragglerResendMs: HOUR,
  stragglerPatienceMs: 6 * HOUR,
  owingMs: 5 * MINUTE,
  orphanAfterMs: HOUR,
  bucketMs: MINUTE,
  releasePeriodMs: MINUTE,
  postponeMs: 30 * SECOND,
};

/**
 * The tempo of a demonstration: every wait of the queue divided by `speed`, none under a second. Leases, SMTP
 * timeouts, patience and queue visibility are not in a tempo and never scaled: they bound real work.
 */
export function scaleTempo(tempo: Tempo, speed: number): Tempo {
  if (!(speed >= 1)) throw new RangeError(`speed must be at least 1, not ${speed}`);
  const scaled = (ms: number) => Math.max(SECOND, Math.round(ms / speed));
  return {
    retryIntervalMs: scaled(tempo.retryIntervalMs),
    maxRetryIntervalMs: scaled(tempo.maxRetryIntervalMs),
    maxRetries: tempo.maxRetries,
    expirationMs: scaled(tempo.expirationMs),
    firstWaitMinMs: scaled(tempo.firstWaitMinMs),
    firstWaitMaxMs: scaled(tempo.firstWaitMaxMs),
    // Release reads one bucket ahead: nothing may be parked so late that it was read already.
    parkThresholdMs: Math.max(scaled(tempo.parkThresholdMs), 3 * scaled(tempo.bucketMs)),
    guardMs: scaled(tempo.guardMs),
    stragglerResendMs: scaled(tempo.stragglerResendMs),
    stragglerPatienceMs: scaled(tempo.stragglerPatienceMs),
    owingMs: scaled(tempo.owingMs),
    orphanAfterMs: scaled(tempo.orphanAfterMs),
    bucketMs: scaled(tempo.bucketMs),
    releasePeriodMs: scaled(tempo.releasePeriodMs),
    postponeMs: scaled(tempo.postponeMs),
  };
}

/** Seconds, as the configuration gives them; `maxRetries` 'auto' and 'none' leave the end to the expiry. */
export interface RetrySettings {
  readonly retryIntervalSeconds: number;
  readonly maxRetryIntervalSeconds: number;
  readonly maxRetries: 'auto' | 'none' | number;
  readonly messageExpirationSeconds: number;
  readonly neverRetry: boolean;
}

export function withRetrySettings(tempo: Tempo, settings: RetrySettings): Tempo {
  return {
    ...tempo,
    retryIntervalMs: settings.retryIntervalSeconds * SECOND,
    maxRetryIntervalMs: settings.maxRetryIntervalSeconds * SECOND,
    maxRetries: settings.neverRetry
      ? 0
      : typeof settings.maxRetries === 'number'
        ? settings.maxRetries
        : undefined,
    expirationMs: settings.messageExpirationSeconds * SECOND,
  };
}
