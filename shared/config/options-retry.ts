// Options that say how long mail is retried: the receiving side.

import { DELIVERY_SCOPES, option } from './option.ts';
import { retryCount, wholeNumber } from './value-types.ts';

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
    momentum: 'The wait after the first deferral, doubled after each further one; default 1200.',
    deviation: 'Default 300, since this mail was deferred before it came.',
  }),
  Max_Retry_Interval: option({
    name: 'Max_Retry_Interval',
    type: wholeNumber(1, 86_400),
    unit: 'seconds',
    default: 14_400,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The longest wait between two attempts; default 43200.',
    deviation: 'Default 14400. On a delay_xfer domain of the sending side it has no part: the MTA retries.',
  }),
  Max_Retries: option({
    name: 'Max_Retries',
    type: retryCount,
    default: 'none' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How many retries before a message fails: "auto" (default) derives it from Message_Expiration.',
    deviation: 'Default "none": expiry alone ends a message.',
  }),
  Message_Expiration: option({
    name: 'Message_Expiration',
    type: wholeNumber(60, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 432_000,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long a message may stay undelivered; default 604800.',
    deviation: 'Default 432000, at most 864000; it counts from when the sending side first took the message.',
  }),
};
