// Address literals in place of a domain (RFC 5321 §4.1.3): `[192.0.2.1]`, `[IPv6:2001:db8::1]`.

import { isIP } from 'node:net';

/** The address; undefined when the brackets hold none. General literals of other kinds have no route. */
export function parseAddressLiteral(literal: string): string | undefined {
  const text = /^\[(.*)\]$/.exec(literal)?.[1] ?? '';
  if (isIP(text) === 4) return text;
  const ipv6 = /^ipv6:(.*)$/i.exec(text)?.[1] ?? '';
  return isIP(ipv6) === 6 && !ipv6.includes('%') ? ipv6.toLowerCase() : undefined;
}
