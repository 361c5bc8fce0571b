// Options on replies, and on reports to senders: the receiving side.

import { DELIVERY_SCOPES, option } from './option.ts';
import { anyText, choice, filePath, flag, wholeNumber } from './value-types.ts';
import { mailbox, pattern } from './value-types-mail.ts';

/** As long as mail lives at most. */
const MAX_EXPIRATION_SECONDS = 864_000;

export const REPORT_OPTIONS = {
  Generate_Bounces: option({
    name: 'Generate_Bounces',
    type: flag,
    default: true,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'Whether senders are told by mail of what could not be delivered.',
    momentum: 'true',
  }),
  Generate_Delay_DSN: option({
    name: 'Generate_Delay_DSN',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'Whether senders are told by mail of what is not delivered yet.',
    momentum: 'false',
    deviation: 'There is no module to load for it.',
  }),
  Delay_DSN_Retry_Interval: option({
    name: 'Delay_DSN_Retry_Interval',
    type: wholeNumber(1, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 3_600,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The wait before the first such mail, doubled after each further one.',
    momentum: '3600',
  }),
  Delay_DSN_Max_Retry_Interval: option({
    name: 'Delay_DSN_Max_Retry_Interval',
    type: wholeNumber(0, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 0,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The longest wait between two such mails; 0 sets no limit.',
    momentum: '0',
  }),
  Bounces_Inline_Original: option({
    name: 'Bounces_Inline_Original',
    type: choice('headers', 'none', 'all'),
    default: 'headers' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'How much of the original message a report carries.',
    momentum: 'headers',
    deviation: 'It holds where the sender asked for nothing with RET (RFC 3461).',
  }),
  Mailerdaemon: option<string | undefined>({
    name: 'Mailerdaemon',
    type: mailbox,
    default: undefined,
    defaultText: 'MAILER-DAEMON at the host name',
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The address in From: of reports.',
    momentum: 'MAILER-DAEMON at the host name',
  }),
  Reply_Classes: option<string | undefined>({
    name: 'Reply_Classes',
    type: filePath,
    default: undefined,
    scopes: ['global'],
    side: 'receiving',
    meaning: 'A file of rules that class replies, beside those that come with the program.',
    file: 'rules',
  }),
  Response_Transcode_Pattern: option<RegExp | undefined>({
    name: 'Response_Transcode_Pattern',
    type: pattern,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning:
      'A regular expression; a 4xx or 5xx reply that it fits is taken for Response_Transcode_Replace instead.',
    momentum: 'none',
    deviation:
      'There is no module to load for it. The expression is one of JavaScript, not PCRE; ' +
      'escapes that need not be, like `\\-`, are read as well.',
  }),
  Response_Transcode_Replace: option<string | undefined>({
    name: 'Response_Transcode_Replace',
    type: anyText,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'What takes the place of the reply; $0 is what fitted, $1 and so on are its groups.',
    momentum: 'none',
  }),
};
