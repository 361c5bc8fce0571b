// Types of values that are particular to mail: addresses, methods, retries, rates, patterns for replies.

import { parseMailbox } from '../message/address.ts';
import { replyExpression } from '../smtp/reply-expression.ts';
import { shown } from './fault.ts';
import { fromText, fromWords, type ValueType } from './value-types.ts';

/** `auto`, `none` or a number of retries. */
export const retryCount: ValueType<'auto' | 'none' | number> = fromText(
  '"auto", "none" or a whole number up to 10000',
  (text) => {
    if (text.toLowerCase() === 'auto') return 'auto';
    if (text.toLowerCase() === 'none') return 'none';
    return /^\d{1,5}$/.test(text) && Number(text) <= 10_000 ? Number(text) : undefined;
  },
);

export type DeliveryMethod = 'smtp' | 'lmtp' | 'delay_xfer';

const METHODS: ValueType<DeliveryMethod> = fromWords(
  '"smtp", "lmtp" or "delay_xfer"',
  new Map<string, DeliveryMethod>([
    ['smtp', 'smtp'],
    ['esmtp', 'smtp'],
    ['lmtp', 'lmtp'],
    ['delay_xfer', 'delay_xfer'],
  ]),
);

/** `esmtp` is Momentum's word for what every delivery by SMTP is here; its other methods would be something else. */
export const deliveryMethod: ValueType<DeliveryMethod> = {
  takes: METHODS.takes,
  read(value) {
    const reading = METHODS.read(value);
    if (reading.ok || value.kind === 'list' || !/^(ecstream|apn|gcm|mm7)$/i.test(value.text)) return reading;
    const reason = `nothing is delivered by ${shown(value.text)} here`;
    return { ok: false, culprit: value, reason, mend: `it takes ${METHODS.takes}` };
  },
};

export type Blackhole = 'false' | 'inline' | 'internal';

export const blackhole: ValueType<Blackhole> = fromWords(
  '"false", "inline" or "internal"',
  new Map<string, Blackhole>([
    ['false', 'false'],
    ['no', 'false'],
    ['off', 'false'],
    ['0', 'false'],
    ['true', 'inline'],
    ['yes', 'inline'],
    ['on', 'inline'],
    ['1', 'inline'],
    ['inline', 'inline'],
    ['internal', 'internal'],
  ]),
);

export interface Rate {
  /** Messages or connections, as the option says. */
  readonly messages: number;
  readonly overSeconds: number;
}

/** `100` per second, or `100/60`: so many over seconds. 0 is read as undefined: no limit. */
export const rate: ValueType<Rate | undefined> = {
  takes: 'a rate like "100/60" (so many over seconds)',
  read(value) {
    const match = value.kind === 'list' ? null : /^(\d{1,9})(?:\/(\d{1,6}))?$/.exec(value.text);
    const overSeconds = Number(match?.[2] ?? 1);
    if (match === null || overSeconds === 0) return { ok: false, culprit: value };
    const messages = Number(match[1]);
    return { ok: true, value: messages === 0 ? undefined : { messages, overSeconds } };
  },
};

/** A name for one machine: part of derived ids. */
export const instanceName: ValueType<string> = fromText('1 to 255 printable characters', (text) =>
  /^[\x21-\x7e]{1,255}$/.test(text) ? text : undefined,
);

/** An address without angle brackets and without a display name. */
export const mailbox: ValueType<string> = fromText(
  'a mail address like "mailer-daemon@example.com"',
  (text) => {
    const parsed = parseMailbox(text);
    return parsed.ok ? parsed.address : undefined;
  },
);

/** A regular expression of JavaScript, without slashes. */
export const pattern: ValueType<RegExp> = {
  takes: 'a regular expression',
  read(value) {
    if (value.kind === 'list' || value.text === '') return { ok: false, culprit: value };
    try {
      return { ok: true, value: replyExpression(value.text) };
    } catch (error) {
      return { ok: false, culprit: value, reason: regexFault(value.text, error) };
    }
  },
};

/** Why a text is no regular expression, without repeating it. */
export function regexFault(text: string, error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return `${shown(text)} is no regular expression: ${said.replace(/^.*: (?=[^:]+$)/s, '').toLowerCase()}`;
}
