// Asks DNS with Node's own resolver (c-ares), which follows aliases as far as the server's answer holds them,
// so the server should be a recursive one. Never rejects. No cache here; see dns-cache.ts.

import { Resolver } from 'node:dns/promises';
import type { DnsAnswer, DnsPort } from './dns.ts';

export interface DnsResolverOptions {
  /** `address` or `address:port`, `[address]:port` for IPv6; the machine's own servers when absent. */
  readonly servers?: readonly string[];
  /** For the first try at each server; c-ares waits longer at each further one. */
  readonly timeoutMs: number;
  /** Tries at each server, at least 1. */
  readonly tries: number;
}

/** Throws when a server's address cannot be read: a fault of the configuration. */
export function createDnsResolver(options: DnsResolverOptions): DnsPort {
  const resolver = new Resolver({ timeout: options.timeoutMs, tries: options.tries });
  if (options.servers !== undefined) resolver.setServers(options.servers);
  return {
    mx: (name) =>
      answer(name, async () => {
        const records = await resolver.resolveMx(name);
        return records.map(({ priority, exchange }) => ({ preference: priority, exchange }));
      }),
    addresses: (name, family) =>
      answer(name, async () => {
        const ask =
          family === 4 ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true });
        return (await ask).map(({ address, ttl }) => ({ address, ttlSeconds: ttl }));
      }),
    alias: (name) => answer(name, () => resolver.resolveCname(name)),
  };
}

async function answer<T>(name: string, ask: () => Promise<readonly T[]>): Promise<DnsAnswer<T>> {
  try {
    const records = await ask();
    return records.length === 0 ? { kind: 'nodata' } : { kind: 'records', records };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    switch (code) {
      case 'ENODATA':
        return { kind: 'nodata' };
      case 'ENOTFOUND':
        return { kind: 'nxdomain' };
      case 'EBADNAME':
        return isExpressible(name) ? { kind: 'failed', code } : { kind: 'nxdomain' };
      default:
        return { kind: 'failed', code };
    }
  }
}

/** A name that DNS cannot express is nobody's (RFC 1035 §2.3.4); of any other, a bad name is the answer's fault. */
function isExpressible(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => label.length >= 1 && label.length <= 63);
}
