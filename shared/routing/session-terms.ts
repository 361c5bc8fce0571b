// What a configuration says of the sessions that carry mail of a domain. Domains for which it differs share none.

import type { DeliverySettings } from '../config/delivery-settings.ts';
import type { SmtpTarget, SmtpTimeouts } from '../smtp/client.ts';

/**
 * RFC 5321 §4.5.3.2; connecting (Connect_Timeout), TLS, RSET and QUIT are ours, the RFC names none. The opening is
 * shorter than the 5 minutes that the RFC gives the greeting alone: an invocation has 15 for everything, and other
 * hosts to ask.
 */
export const SMTP_TIMEOUTS: SmtpTimeouts = {
  openingMs: 60_000,
  connectMs: 30_000,
  greetingMs: 300_000,
  ehloMs: 300_000,
  tlsMs: 30_000,
  mailMs: 300_000,
  rcptMs: 300_000,
  dataMs: 120_000,
  contentMs: 180_000,
  finalMs: 600_000,
  rsetMs: 30_000,
  quitMs: 3_000,
};

/** Of everything that a target needs, what does not come from its route. */
export type Opening = Pick<
  SmtpTarget,
  'ehloName' | 'protocol' | 'timeouts' | 'eightBit' | 'localAddress' | 'transcode'
>;

export interface SessionTerms {
  readonly opening: Opening;
  /** Infinity: as many as there are. */
  readonly deliveriesPerSession: number;
  /** RCPT commands; infinity as well. */
  readonly recipientsPerSession: number;
  readonly recipientsPerTransaction: number;
}

/** `ehloName` is said where the configuration names nothing nearer. */
export function sessionTerms(settings: DeliverySettings, ehloName: string): SessionTerms {
  return {
    opening: {
      ehloName: settings.ehloHostname ?? ehloName,
      timeouts: smtpTimeouts(settings),
      eightBit: settings.eightBitMail,
      ...(settings.deliveryMethod === 'lmtp' ? { protocol: 'lmtp' } : {}),
      ...(settings.bindAddress === undefined ? {} : { localAddress: settings.bindAddress }),
      ...(settings.transcode === undefined ? {} : { transcode: settings.transcode }),
    },
    deliveriesPerSession: unlessZero(settings.maxDeliveriesPerConnection),
    recipientsPerSession: unlessZero(settings.maxRecipientsPerConnection),
    recipientsPerTransaction: settings.maxRecipientsPerBatch,
  };
}

export function smtpTimeouts(settings: DeliverySettings): SmtpTimeouts {
  return {
    ...SMTP_TIMEOUTS,
    connectMs: settings.connectTimeoutSeconds * 1_000,
    ehloMs: settings.ehloTimeoutSeconds * 1_000,
    mailMs: settings.mailfromTimeoutSeconds * 1_000,
    rcptMs: settings.rcpttoTimeoutSeconds * 1_000,
    finalMs: settings.bodyTimeoutSeconds * 1_000,
    rsetMs: settings.rsetTimeoutSeconds * 1_000,
  };
}

/** Momentum's 0 is no limit. */
function unlessZero(limit: number): number {
  return limit === 0 ? Infinity : limit;
}
