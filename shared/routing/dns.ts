// The port through which routing asks DNS. Answers are values: what a name server says, and that it says
// nothing, are both part of the day's work.

export interface MxRecord {
  readonly preference: number;
  /** As DNS gave it, without a trailing dot; '' is the root, which stands for "no mail" (RFC 7505). */
  readonly exchange: string;
}

export interface AddressRecord {
  readonly address: string;
  readonly ttlSeconds: number;
}

export type DnsAnswer<T> =
  /** At least one. */
  | { readonly kind: 'records'; readonly records: readonly T[] }
  /** The name exists, without records of this type. */
  | { readonly kind: 'nodata' }
  | { readonly kind: 'nxdomain' }
  /** SERVFAIL, REFUSED, a timeout, no server: nothing is known. `code` is the resolver's word for it. */
  | { readonly kind: 'failed'; readonly code: string };

export type AddressFamily = 4 | 6;

export interface DnsPort {
  /** Never rejects; nor do the others. Names are A-labels. */
  mx(name: string): Promise<DnsAnswer<MxRecord>>;
  addresses(name: string, family: AddressFamily): Promise<DnsAnswer<AddressRecord>>;
  /** The name that a name is an alias of (CNAME). */
  alias(name: string): Promise<DnsAnswer<string>>;
}
