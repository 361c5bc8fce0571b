// Options that say how long mail is retried: the receiving side.

import { DELIVERY_SCOPES, option } from './option.ts';
import { flag, wholeNumber } from './value-types.ts';
import { retryCount } from './value-types-mail.ts';

/** Expiry is at most 10 days: content lives 14. */
const MAX_EXPIRATION_SECONDS = 864_000;

export const RETRY_OPTIONS = {
  Retry_Interval: option({
    name: 'Retry_Interval',
    type: wholeNumber(1, 86_400),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The wait after the first deferral, doubled after each further one, give or take a tenth.',
    momentum: '1200',
    deviation: 'This mail was deferred before it came.',
  }),
  Max_Retry_Interval: option({
    name: 'Max_Retry_Interval',
    type: wholeNumber(1, 86_400),
    unit: 'seconds',
    default: 14_400,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The longest wait between two attempts.',
    momentum: '43200',
    deviation: 'Half a day is long for mail that was late when it came.',
  }),
  Max_Retries: option({
    name: 'Max_Retries',
    type: retryCount,
    default: 'none' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'After how many retries a message fails; "auto" derives the number from Message_Expiration.',
    momentum: 'auto',
    deviation:
      'Expiry alone ends a message: "auto" counts on intervals that double, and ends it early where they are cut short.',
  }),
  Message_Expiration: option({
    name: 'Message_Expiration',
    type: wholeNumber(60, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 432_000,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'How long a message may stay undelivered, from when the sending side first took it.',
    momentum: '86400; 604800 in its default file',
    deviation: 'Five days, as RFC 5321 §4.5.4.1 asks for at least four.',
  }),
  Never_Retry: option({
    name: 'Never_Retry',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'A message that is deferred once fails at once, with the reply that deferred it.',
    momentum: 'false',
    deviation: 'Momentum says 554 5.4.7; the report here says 4.4.7 and quotes the last reply.',
  }),
  Never_Attempt_Expired_Messages: option({
    name: 'Never_Attempt_Expired_Messages',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'A message that is due when its time is over fails without a last attempt.',
    momentum: 'false',
  }),
};
