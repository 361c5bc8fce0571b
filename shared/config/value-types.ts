// What an option's value may be: each type reads a written value into a typed one, or says what it should be.

import { parseMailbox } from '../message/address.ts';
import { type ListenAddress, parseListen } from './listen.ts';
import { type Network, parseNetwork } from './networks.ts';
import { parseRoute, type Route } from './routes.ts';
import type { Scalar, Value } from './syntax.ts';

export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  /** `culprit` is the part of the value that is wrong. */
  | { readonly ok: false; readonly message: string; readonly culprit: Value };

export interface ValueType<T> {
  /** Completes "… takes": `a whole number from 1 to 10`. */
  readonly takes: string;
  read(value: Value): Reading<T>;
}

export function wholeNumber(least: number, most: number): ValueType<number> {
  const takes = `a whole number from ${least} to ${most}`;
  return fromText(takes, (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    return number >= least && number <= most ? number : undefined;
  });
}

export const flag: ValueType<boolean> = fromText('true or false', (text) => {
  const lower = text.toLowerCase();
  if (['true', 'yes', 'on', '1'].includes(lower)) return true;
  return ['false', 'no', 'off', '0'].includes(lower) ? false : undefined;
});

/** One of the words, in any letter case. */
export function choice<const Word extends string>(...words: readonly Word[]): ValueType<Word> {
  return fromText(words.map((word) => `"${word}"`).join(' or '), (text) =>
    words.find((word) => word.toLowerCase() === text.toLowerCase()),
  );
}

/** `auto`, `none` or a number of retries. */
export const retryCount: ValueType<'auto' | 'none' | number> = fromText(
  '"auto", "none" or a whole number up to 10000',
  (text) => {
    if (text.toLowerCase() === 'auto') return 'auto';
    if (text.toLowerCase() === 'none') return 'none';
    return /^\d{1,5}$/.test(text) && Number(text) <= 10_000 ? Number(text) : undefined;
  },
);

/** A domain to send mail on to, or `disabled`, which stops a chain. Lower case. */
export const domainOrDisabled: ValueType<string> = fromText('a domain, or "disabled"', (text) =>
  HOST_NAME.test(text) ? text.toLowerCase() : undefined,
);

export const hostName: ValueType<string> = fromText('a host name', (text) =>
  HOST_NAME.test(text) ? text : undefined,
);

/** What an HTTP Host header may carry: a name or address, with or without a port. */
export const httpHost: ValueType<string> = fromText('a host name, with or without a port', (text) =>
  /^[A-Za-z0-9._[\]:-]{1,255}$/.test(text) ? text : undefined,
);

export const uriPath: ValueType<string> = fromText(
  'a path that begins with /, like "/delay_message"',
  (text) => (/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/.test(text) ? text.replace(/\/+$/, '') || '/' : undefined),
);

/** `user:password`, as in RFC 7617; the user's name holds no colon. */
export const credentials: ValueType<{ readonly user: string; readonly password: string }> = fromText(
  '"user:password"',
  (text) => {
    const colon = text.indexOf(':');
    if (colon < 1) return undefined;
    return { user: text.slice(0, colon), password: text.slice(colon + 1) };
  },
);

/** `100` per second, or `100/60`: messages over seconds. */
export const rate: ValueType<{ readonly messages: number; readonly overSeconds: number }> = fromText(
  'a rate like "100/60" (messages over seconds)',
  (text) => {
    const match = /^(\d{1,9})(?:\/(\d{1,6}))?$/.exec(text);
    const messages = Number(match?.[1]);
    const overSeconds = Number(match?.[2] ?? 1);
    return match !== null && messages > 0 && overSeconds > 0 ? { messages, overSeconds } : undefined;
  },
);

/** A name for one machine: part of derived ids. */
export const instanceName: ValueType<string> = fromText('1 to 255 printable characters', (text) =>
  /^[\x21-\x7e]{1,255}$/.test(text) ? text : undefined,
);

export const anyText: ValueType<string> = fromText('a text', (text) => text);

/** Where a file is; whoever reads files finds it beside the file that names it, when it is relative. */
export const filePath: ValueType<string> = fromText('the path of a file', (text) =>
  text === '' || text.includes('\0') ? undefined : text,
);

/** One address and port, as a listener's. */
export const listenAddress: ValueType<ListenAddress | undefined> = fromText(
  'an address and port like "127.0.0.1:9325"',
  parseListen,
);

/** An address without angle brackets and without a display name. */
export const mailbox: ValueType<string> = fromText(
  'a mail address like "mailer-daemon@example.com"',
  (text) => {
    const parsed = parseMailbox(text);
    return parsed.ok ? parsed.address : undefined;
  },
);

export const routes: ValueType<readonly Route[]> = fromList('one route or a list of routes', (item) => {
  const reading = parseRoute(item.text);
  return reading.ok
    ? { ok: true, value: reading.route }
    : { ok: false, message: reading.message, culprit: item };
});

export const networks: ValueType<readonly Network[]> = fromList('addresses or CIDR blocks', (item) => {
  const value = parseNetwork(item.text);
  return value === undefined
    ? { ok: false, message: `"${item.text}" is neither an address nor a CIDR block`, culprit: item }
    : { ok: true, value };
});

const HOST_NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{N}._-]{0,252}[\p{L}\p{N}_])?$/u;

function fromText<T>(takes: string, parse: (text: string) => T | undefined): ValueType<T> {
  return {
    takes,
    read(value) {
      if (value.kind === 'list') {
        return { ok: false, message: `takes ${takes}, not a list`, culprit: value };
      }
      const parsed = parse(value.text);
      if (parsed === undefined) {
        return { ok: false, message: `takes ${takes}, not "${value.text}"`, culprit: value };
      }
      return { ok: true, value: parsed };
    },
  };
}

// A single value stands for a list of one.
function fromList<T>(takes: string, parse: (item: Scalar) => Reading<T>): ValueType<readonly T[]> {
  return {
    takes,
    read(value) {
      const parsed: T[] = [];
      for (const item of value.kind === 'list' ? value.items : [value]) {
        const reading = parse(item);
        if (!reading.ok) return reading;
        parsed.push(reading.value);
      }
      return { ok: true, value: parsed };
    },
  };
}
