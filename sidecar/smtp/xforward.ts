// XFORWARD, by which an MTA tells whom it had the mail from (Postfix's XFORWARD_README).

import { ownReply } from '../../shared/smtp/reply.ts';
import type { Parsed } from './commands.ts';
import { decodeXtext } from './parameters.ts';

export const XFORWARD_NAMES: readonly string[] = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'];

/** Attributes by upper-case name; undefined are those that are not available. */
export function parseXforward(rest: string): Parsed<ReadonlyMap<string, string | undefined>> {
  const attributes = new Map<string, string | undefined>();
  for (const part of rest.split(/\s+/)) {
    const [, name, value] = /^([A-Za-z]+)=(\S+)$/.exec(part) ?? [];
    const decoded = value === undefined ? undefined : decodeXtext(value);
    if (name === undefined || decoded === undefined || !XFORWARD_NAMES.includes(name.toUpperCase())) {
      const reply = ownReply(501, '5.5.4', `write XFORWARD with attributes of ${XFORWARD_NAMES.join(', ')}`);
      return { ok: false, reply };
    }
    const isKnown = !/^\[(?:TEMP)?UNAVAILABLE\]$/i.test(decoded);
    attributes.set(name.toUpperCase(), isKnown ? decoded : undefined);
  }
  return { ok: true, value: attributes };
}
