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
