// Mailboxes as they stand in an envelope: RFC 5321 §4.1.2 with the UTF-8 of RFC 6531, without angle brackets.
// `parseMailbox` is the only way in from outside: it accepts dot-atoms, quoted local parts, domains in A- and
// U-labels, and address literals; it tolerates underscores in domains, which DNS knows and mail uses; it refuses
// everything that could break a command line (controls), source routes and the bare `postmaster`.
// Nothing here throws. Null paths ('') are the caller's affair.

import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';

/** RFC 5321 §4.5.3.1.1, in octets. */
export const MAX_LOCAL_PART_BYTES = 64;
/** RFC 5321 §4.5.3.1.2, in octets. */
export const MAX_DOMAIN_BYTES = 255;
/** RFC 5321 §4.5.3.1.3: 256 octets with the two angle brackets, which we keep off. */
export const MAX_ADDRESS_BYTES = 254;
/** RFC 1035 §2.3.4, in octets of the A-label. */
const MAX_LABEL_BYTES = 63;

export type ParsedMailbox =
  | {
      readonly ok: true;
      /** Local part as received, `@`, and the domain in lower case. */
      readonly address: string;
      readonly localPart: string;
      /** Lower case, labels as received; or a literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
      readonly domain: string;
      /** The local part or the domain holds characters beyond US-ASCII. */
      readonly utf8: boolean;
    }
  /** `fault` completes a sentence that begins with the field's name. */
  | { readonly ok: false; readonly fault: string };

export function parseMailbox(text: string): ParsedMailbox {
  const shape = shapeFault(text);
  if (shape !== undefined) return { ok: false, fault: shape };
  const split = text.startsWith('"') ? splitAfterQuoted(text) : splitAtSign(text);
  if (typeof split === 'string') return { ok: false, fault: split };
  const { localPart } = split;
  if (Buffer.byteLength(localPart) > MAX_LOCAL_PART_BYTES) {
    return { ok: false, fault: `has a local part over ${MAX_LOCAL_PART_BYTES} octets` };
  }
  const domain = split.domain.startsWith('[') ? parseLiteral(split.domain) : parseDomain(split.domain);
  if (!domain.ok) return domain;
  const address = `${localPart}@${domain.domain}`;
  if (Buffer.byteLength(address) > MAX_ADDRESS_BYTES) return { ok: false, fault: PATH_TOO_LONG };
  return { ok: true, address, localPart, domain: domain.domain, utf8: !isAscii(address) };
}

/**
 * What scheduling and routing use for a parsed address: the domain in lower-case A-labels (UTS 46), a literal as
 * it stands; '' when there is none.
 */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  if (at < 0) return '';
  const domain = address.slice(at + 1);
  if (domain.startsWith('[')) return domain;
  return isAscii(domain) ? domain.toLowerCase() : domainToASCII(domain);
}

/** Whether the address needs SMTPUTF8: a domain in U-labels can be sent in A-labels, a local part cannot. */
export function needsSmtpUtf8(address: string): boolean {
  return !isAscii(address) && !isAscii(address.slice(0, address.lastIndexOf('@')));
}

const PATH_TOO_LONG = `is over ${MAX_ADDRESS_BYTES} octets (a path takes 256 with its angle brackets)`;
const CONTROL = /\p{Cc}/u;
/** atext of RFC 5322 §3.2.3 and UTF8-non-ascii of RFC 6531 §3.3, in atoms joined by single dots. */
const DOT_STRING =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u{80}-\u{10ffff}-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u{80}-\u{10ffff}-]+)*$/u;
/** RFC 5321's Quoted-string with its `@`; controls have been refused before. */
const QUOTED_LOCAL_PART = /^"(?:[^"\\]|\\[\x20-\x7e])*"@/;
const DOMAIN_CHARACTERS = /^[a-z0-9_.\u{80}-\u{10ffff}-]+$/u;
/** What the WHATWG host parser, and so `domainToASCII`, would read as an IPv4 address. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/** Faults that are seen before the address is taken apart. */
function shapeFault(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.length > 4 * MAX_ADDRESS_BYTES) return PATH_TOO_LONG;
  if (!text.isWellFormed()) return 'holds a lone surrogate, which is no character';
  if (CONTROL.test(text)) return 'holds a control character';
  if (text.startsWith('<')) return 'must stand without angle brackets';
  if (text.startsWith('@')) return 'begins with a source route or lacks its local part';
  if (text.toLowerCase() === 'postmaster') return 'is postmaster without a domain; name the domain';
  return undefined;
}

function splitAfterQuoted(text: string): { localPart: string; domain: string } | string {
  const quoted = QUOTED_LOCAL_PART.exec(text)?.[0];
  if (quoted === undefined) return 'has a quoted local part that does not end in "@';
  return { localPart: quoted.slice(0, -1), domain: text.slice(quoted.length) };
}

function splitAtSign(text: string): { localPart: string; domain: string } | string {
  const at = text.indexOf('@');
  if (at < 0) return 'has no @';
  const localPart = text.slice(0, at);
  const domain = text.slice(at + 1);
  if (domain.includes('@')) return 'has more than one @; a local part that holds one must be quoted';
  if (DOT_STRING.test(localPart)) return { localPart, domain };
  if (/^\.|\.\.|\.$/.test(localPart)) return 'has a misplaced dot in its local part, which must be quoted';
  return 'has a character in its local part that must be quoted';
}

type ParsedDomain =
  | { readonly ok: true; readonly domain: string }
  | { readonly ok: false; readonly fault: string };

function parseDomain(text: string): ParsedDomain {
  const domain = text.toLowerCase();
  if (domain === '') return { ok: false, fault: 'has no domain after its @' };
  if (!DOMAIN_CHARACTERS.test(domain)) {
    return { ok: false, fault: 'has a character in its domain that no domain takes' };
  }
  const ascii = isAscii(domain) ? domain : domainToASCII(domain);
  if (ascii === '') return { ok: false, fault: 'has a domain that is no internationalised name (UTS 46)' };
  if (Math.max(ascii.length, Buffer.byteLength(domain)) > MAX_DOMAIN_BYTES) {
    return { ok: false, fault: `has a domain over ${MAX_DOMAIN_BYTES} octets` };
  }
  const labels = ascii.split('.');
  for (const label of labels) {
    if (label === '') return { ok: false, fault: 'has an empty label in its domain (a dot too many)' };
    if (label.length > MAX_LABEL_BYTES) {
      return { ok: false, fault: `has a domain label over ${MAX_LABEL_BYTES} octets` };
    }
    if (label.startsWith('-') || label.endsWith('-')) {
      return { ok: false, fault: 'has a domain label that begins or ends with a hyphen' };
    }
  }
  if (NUMBER.test(labels.at(-1) ?? '')) {
    return { ok: false, fault: 'has a domain that ends in a number; an IP address stands in brackets' };
  }
  return { ok: true, domain };
}

/** RFC 5321 §4.1.3; of the tagged literals only IPv6 is registered. IPv6 is rewritten by RFC 5952. */
function parseLiteral(text: string): ParsedDomain {
  const fault = 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form';
  const inside = /^\[([0-9A-Za-z:.]+)\]$/.exec(text)?.[1];
  if (inside === undefined) return { ok: false, fault };
  if (/^ipv6:/i.test(inside)) {
    const address = inside.slice('IPv6:'.length);
    if (!ipaddr.IPv6.isValid(address)) return { ok: false, fault };
    return { ok: true, domain: `[IPv6:${ipaddr.IPv6.parse(address).toRFC5952String()}]` };
  }
  return ipaddr.IPv4.isValidFourPartDecimal(inside) && !/(?:^|\.)0\d/.test(inside)
    ? { ok: true, domain: `[${inside}]` }
    : { ok: false, fault };
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
