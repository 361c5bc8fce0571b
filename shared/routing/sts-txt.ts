// Asks DNS for TXT records with Node's own resolver, bounded in time as a whole. Never rejects.

import { Resolver } from 'node:dns/promises';
import type { DnsAnswer } from './dns.ts';
import type { DnsResolverOptions } from './dns-resolver.ts';

/** The character strings of each TXT record of a name in A-labels. */
export type TxtLookup = (name: string) => Promise<DnsAnswer<readonly string[]>>;

/** What a domain's word about its policy is waited for, all tries together. */
const BOUND_MS = 5_000;

export interface TxtResolverOptions extends DnsResolverOptions {
  /** 5 s when absent. */
  readonly boundMs?: number;
}

/** Throws when a server's address cannot be read: a fault of the configuration. */
export function createTxtResolver(options: TxtResolverOptions): TxtLookup {
  const { servers, timeoutMs, tries, boundMs = BOUND_MS } = options;
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  return async (name) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<DnsAnswer<readonly string[]>>((resolve) => {
      timer = setTimeout(() => resolve({ kind: 'failed', code: 'ETIMEOUT' }), boundMs);
    });
    const asked = resolver
      .resolveTxt(name)
      .then(
        (records): DnsAnswer<readonly string[]> =>
          records.length === 0 ? { kind: 'nodata' } : { kind: 'records', records },
        failureOf,
      );
    const answer = await Promise.race([asked, late]);
    clearTimeout(timer);
    return answer;
  };
}

function failureOf(error: unknown): DnsAnswer<readonly string[]> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  switch (code) {
    case 'ENODATA':
      return { kind: 'nodata' };
    case 'ENOTFOUND':
    case 'EBADNAME':
      return { kind: 'nxdomain' };
    default:
      return { kind: 'failed', code };
  }
}
