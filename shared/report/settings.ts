// What reports are sent, and how they look: what the configuration says, in the units of the queue.

export interface ReportSettings {
  /** Failures are reported to the reverse path (`Generate_Bounces`). */
  readonly generateBounces: boolean;
  /** Delays are reported to senders who did not ask either way (`Generate_Delay_DSN`). */
  readonly generateDelayDsn: boolean;
  /** From reception to the first report of a delay (`Delay_DSN_Retry_Interval`). */
  readonly delayDsnRetryIntervalMs: number;
  /** The longest wait between two reports of delays; 0 sets no limit (`Delay_DSN_Max_Retry_Interval`). */
  readonly delayDsnMaxRetryIntervalMs: number;
  /** What of the original is returned to a sender who gave no RET (`Bounces_Inline_Original`). */
  readonly inlineOriginal: InlineOriginal;
  /** The address in `From:`, without angle brackets (`Mailerdaemon`). */
  readonly mailerDaemon: string;
  /** Our host name: the reporting MTA, the domain of reports' Message-IDs, and their trace. */
  readonly reportingMta: string;
}

/** Momentum's words. */
export type InlineOriginal = 'headers' | 'none' | 'all';

/** What the configuration says, in its own units. */
export interface ReportOptions {
  readonly generateBounces: boolean;
  readonly generateDelayDsn: boolean;
  readonly delayDsnRetryIntervalSeconds: number;
  readonly delayDsnMaxRetryIntervalSeconds: number;
  readonly bouncesInlineOriginal: InlineOriginal;
  /** Undefined: MAILER-DAEMON at our host name. */
  readonly mailerDaemon: string | undefined;
}

/** `speed` divides the intervals, as a demonstration's tempo does; none becomes shorter than a second. */
export function reportSettings(options: ReportOptions, reportingMta: string, speed = 1): ReportSettings {
  const scaled = (seconds: number) =>
    seconds === 0 ? 0 : Math.max(1_000, Math.round((seconds * 1_000) / speed));
  return {
    generateBounces: options.generateBounces,
    generateDelayDsn: options.generateDelayDsn,
    delayDsnRetryIntervalMs: scaled(options.delayDsnRetryIntervalSeconds),
    delayDsnMaxRetryIntervalMs: scaled(options.delayDsnMaxRetryIntervalSeconds),
    inlineOriginal: options.bouncesInlineOriginal,
    mailerDaemon: options.mailerDaemon ?? `MAILER-DAEMON@${reportingMta}`,
    reportingMta,
  };
}
