// Options on reports to senders and on the classes of replies: the receiving side.

import { DELIVERY_SCOPES, option } from './option.ts';
import { choice, filePath, flag, mailbox, wholeNumber } from './value-types.ts';

/** As long as mail lives at most. */
const MAX_EXPIRATION_SECONDS = 864_000;

export const REPORT_OPTIONS = {
  Generate_Bounces: option({
    name: 'Generate_Bounces',
    type: flag,
    default: true,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Whether senders are told by mail of what could not be delivered; default true.',
  }),
  Generate_Delay_DSN: option({
    name: 'Generate_Delay_DSN',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Whether senders are told by mail of what is not delivered yet; default false.',
    deviation: 'There is no module to load for it.',
  }),
  Delay_DSN_Retry_Interval: option({
    name: 'Delay_DSN_Retry_Interval',
    type: wholeNumber(1, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 3_600,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The wait before the first such mail, doubled after each further one; default 3600.',
  }),
  Delay_DSN_Max_Retry_Interval: option({
    name: 'Delay_DSN_Max_Retry_Interval',
    type: wholeNumber(0, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 0,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The longest wait between two such mails; 0 (default) sets no limit.',
  }),
  Bounces_Inline_Original: option({
    name: 'Bounces_Inline_Original',
    type: choice('headers', 'none', 'all'),
    default: 'headers' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How much of the original message a report carries; default headers.',
    deviation: 'It holds where the sender asked for nothing with RET (RFC 3461).',
  }),
  Mailerdaemon: option<string | undefined>({
    name: 'Mailerdaemon',
    type: mailbox,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The address in From: of reports; mailer-daemon at the host name by default.',
  }),
  Reply_Classes: option<string | undefined>({
    name: 'Reply_Classes',
    type: filePath,
    default: undefined,
    scopes: ['global'],
    side: 'receiving',
    deviation: 'A file of rules that class replies, beside those that come with the program.',
    file: 'rules',
  }),
};
