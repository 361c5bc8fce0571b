// The names of Domain and Host stanzas: a name in any script, an address, or a regular expression between slashes.

import ipaddr from 'ipaddr.js';
import { comparableDomain } from './evaluate.ts';
import { shown } from './fault.ts';
import { regexFault } from './value-types-mail.ts';

export type ScopeName =
  | { readonly ok: true; readonly name: string; readonly pattern?: RegExp }
  | { readonly ok: false; readonly message: string; readonly mend?: string };

const DOMAIN_NAME = /^[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)*\.?$/u;

/** Of a regular expression: a name has 255 at most. */
const MAX_NAME_CHARS = 10_000;

/** `what`: "domain" or "host". */
export function readScopeName(text: string, what: string): ScopeName {
  if (text.length > MAX_NAME_CHARS) return { ok: false, message: `${shown(text)} is too long for a ${what}` };
  if (text.startsWith('/')) return readPattern(text);
  if (text.startsWith('*')) {
    const rest = text.replace(/^\*\.?/, '').replaceAll('.', '[.]');
    const mend =
      rest === '' ? `what holds for every ${what} stands at the top of a file` : `write "/(^|[.])${rest}$/"`;
    return { ok: false, message: `${shown(text)} is no ${what}: there are no wildcards`, mend };
  }
  if (text.includes('@')) {
    const domain = text.slice(text.lastIndexOf('@') + 1);
    const message = `${shown(text)} is an address, not a ${what}`;
    return DOMAIN_NAME.test(domain)
      ? { ok: false, message, mend: `write ${domain}` }
      : { ok: false, message };
  }
  const isLiteral = /^\[[^\]]+\]$/.test(text);
  // Octets that are not UTF-8 are told of where they stand.
  if (text.includes('\uFFFD')) return { ok: true, name: text };
  if (!isLiteral && !DOMAIN_NAME.test(text) && !ipaddr.isValid(text))
    return { ok: false, message: `${shown(text)} is no ${what}` };
  return { ok: true, name: comparableDomain(text) };
}

function readPattern(text: string): ScopeName {
  const flags = /^\/.*\/([a-z]+)$/.exec(text)?.[1];
  if (flags !== undefined) {
    const message = `${shown(text)} ends with ${shown(flags)}`;
    return { ok: false, message, mend: 'end it with a slash: letter case counts nothing anyway' };
  }
  if (text.length < 3 || !text.endsWith('/'))
    return {
      ok: false,
      message: `${shown(text)} is no regular expression`,
      mend: 'write it between two slashes',
    };
  if (text.includes('(?i)')) {
    const message = `${shown(text)} is no regular expression of JavaScript`;
    return { ok: false, message, mend: 'take (?i) out: letter case counts nothing' };
  }
  try {
    return { ok: true, name: text, pattern: new RegExp(text.slice(1, -1), 'i') };
  } catch (error) {
    return { ok: false, message: regexFault(text, error) };
  }
}
