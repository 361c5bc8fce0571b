// What holds for the mail of one domain in the queue: when it is tried and until when, and what senders are told.

import { type DeliverySettings, remembered } from '../config/delivery-settings.ts';
import { type ReportSettings, reportSettings } from '../report/settings.ts';
import { DEFAULT_TEMPO, scaleTempo, type Tempo, withRetrySettings } from './tempo.ts';

export interface Terms {
  /** Of its waits, retries and expiry are the domain's own; the others are the same for all. */
  readonly tempo: Tempo;
  /** Undefined: reports stay owed. */
  readonly reports: ReportSettings | undefined;
  /** Whether mail is attempted at all: `wait` leaves it alone until it expires, `fail` ends it at once. */
  readonly handling: 'attempt' | 'wait' | 'fail';
  /** False: mail that is due when its time is over ends without a last attempt. */
  readonly attemptsExpired: boolean;
}

export type TermsFor = (domain: string) => Terms;

export interface TermsDeps {
  /** What holds where `termsFor` is absent. */
  readonly tempo: Tempo;
  readonly reports?: ReportSettings;
  readonly termsFor?: TermsFor;
}

export function termsOf(deps: TermsDeps, domain: string): Terms {
  const { tempo, reports } = deps;
  return deps.termsFor?.(domain) ?? { tempo, reports, handling: 'attempt', attemptsExpired: true };
}

export interface TermsOptions {
  readonly settingsFor: (domain: string) => DeliverySettings;
  /** Our host name, in reports. */
  readonly reportingMta: string;
  /** Divides the waits, as `scaleTempo` does; 1 when absent. */
  readonly speed?: number;
}

/** What a configuration says, in the units of the queue. What was read is kept. */
export function termsByDomain({ settingsFor, reportingMta, speed = 1 }: TermsOptions): TermsFor {
  return remembered((domain) => {
    const settings = settingsFor(domain);
    return {
      ...handlingOf(settings),
      tempo: scaleTempo(withRetrySettings(DEFAULT_TEMPO, settings), speed),
      reports: reportSettings(settings, reportingMta, speed),
    };
  });
}

/** What becomes of mail by Blackhole, Suspend_Delivery and Never_Attempt_Expired_Messages. */
export function handlingOf(settings: DeliverySettings): Pick<Terms, 'handling' | 'attemptsExpired'> {
  const { blackhole, suspendDelivery, neverAttemptExpired } = settings;
  const handling = blackhole !== 'false' ? 'fail' : suspendDelivery ? 'wait' : 'attempt';
  return { handling, attemptsExpired: !neverAttemptExpired };
}
