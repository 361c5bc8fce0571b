// Names of hosts and domains as routing compares, asks for and logs them.

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/** RFC 1035 §2.3.4, in the written form without the final dot. */
const MAX_NAME_LENGTH = 253;

/** Lower case, without the final dot. */
export function comparableName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/**
 * The same in A-labels (UTS 46); '' when there are none. Only what is not ASCII is converted, since the conversion
 * also rewrites what looks like a number.
 */
export function toALabels(domain: string): string {
  const name = comparableName(domain);
  return Buffer.byteLength(name) === name.length ? name : domainToASCII(name);
}

/**
 * Whether a comparable name may be a mail host's: letters, digits, hyphens, and the underscores that DNS knows and
 * mail meets, or an address in its place. DNS itself would take any octets.
 */
export function isHostName(name: string): boolean {
  if (isIP(name) !== 0) return true;
  return name.length <= MAX_NAME_LENGTH && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name);
}
