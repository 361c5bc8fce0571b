// Which addresses mail may be sent to (I10). A domain's MX records are written by strangers: an address that is
// not on the public Internet is refused, so that nobody reaches our own network, the machine itself or a
// cloud's metadata service by way of a mail domain. What the operator lists is let through, and relays that the
// operator names may be private.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Undefined when mail may go there, else why not, in words for a reply. */
export type AddressPolicy = (address: string) => string | undefined;

export interface AddressPolicyOptions {
  /** CIDR blocks that are let through, `127.0.0.0/8` or `fd00::/8`; a lone address is a block of one. */
  readonly allow: readonly string[];
}

/** Throws when a block cannot be read: a fault of the configuration. */
export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  const allowed = options.allow.map(parseBlock);
  return (address) => {
    const version = isIP(address);
    if (version === 0) return 'is not an IP address';
    if (address.includes('%')) return 'names a network interface';
    const parsed = ipaddr.parse(address);
    if (allowed.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits)))
      return undefined;
    if (CLOUD_METADATA.has(parsed.toString())) return 'is a metadata service';
    const range = parsed.range();
    if (range !== 'unicast') return `is ${RANGE_IN_WORDS.get(range) ?? `in a special range (${range})`}`;
    if (parsed.kind() === 'ipv6' && !parsed.match(GLOBAL_UNICAST, 3)) return 'is not a global address';
    return undefined;
  };
}

/**
 * For hosts that the operator names in Routes: a relay in a private network is the usual case, and one on this
 * machine is meant as well. What can be no relay is refused all the same: metadata services, link-local addresses
 * (a name's owner may point there), multicast, and what is no address of a host.
 */
export function createRoutePolicy(options: AddressPolicyOptions): AddressPolicy {
  const common = createAddressPolicy(options);
  const near = createAddressPolicy({ allow: [...options.allow, ...RELAY_NETWORKS] });
  return (address) => (isMetadata(address) ? common(address) : near(address));
}

function isMetadata(address: string): boolean {
  return isIP(address) !== 0 && CLOUD_METADATA.has(ipaddr.parse(address).toString());
}

/** Loopback, RFC 1918, RFC 6598, RFC 4193. */
const RELAY_NETWORKS = [
  '127.0.0.0/8',
  '::1',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
];

type Block = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseBlock(text: string): Block {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (isIP(text) === 0) throw new Error(`not an address or CIDR block: ${text}`);
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** RFC 4291 §2.4: what IANA has given out for the public Internet; the ranges outside it are not routed. */
const GLOBAL_UNICAST = ipaddr.parse('2000::');

/** Metadata and platform services at addresses that no special range covers, and the two best known. */
const CLOUD_METADATA: ReadonlySet<string> = new Set(['168.63.129.16', '169.254.169.254', 'fd00:ec2::254']);

const RANGE_IN_WORDS: ReadonlyMap<string, string> = new Map([
  ['unspecified', 'unspecified'],
  ['broadcast', 'the broadcast address'],
  ['multicast', 'multicast'],
  ['linkLocal', 'link-local'],
  ['loopback', 'loopback'],
  ['carrierGradeNat', 'of a carrier-grade NAT'],
  ['private', 'private'],
  ['uniqueLocal', 'private'],
  ['reserved', 'reserved'],
  ['ipv4Mapped', 'an IPv4-mapped address'],
  ['rfc6052', 'a NAT64 address'],
]);
