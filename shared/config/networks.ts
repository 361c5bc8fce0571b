// Networks and addresses, as `Relay_Hosts` lists them: CIDR blocks or single addresses, IPv4 and IPv6.

import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

export interface Network {
  readonly text: string;
  contains(address: string): boolean;
}

/** Undefined when the text is neither an address nor a CIDR block. */
export function parseNetwork(text: string): Network | undefined {
  if (ipaddr.isValidCIDR(text)) {
    const [base, prefixBits] = ipaddr.parseCIDR(text);
    return { text, contains: (address) => inside(address, base, prefixBits) };
  }
  if (!ipaddr.isValid(text) || (!text.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(text)))
    return undefined;
  const base = ipaddr.parse(text);
  const prefixBits = base.kind() === 'ipv4' ? 32 : 128;
  return { text, contains: (address) => inside(address, base, prefixBits) };
}

/** 127.0.0.0/8 and ::1, in any spelling; an IPv4-mapped IPv6 address counts as its IPv4 address. */
export function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}

function inside(text: string, base: Address, prefixBits: number): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  return address.kind() === base.kind() && address.match(base, prefixBits);
}
