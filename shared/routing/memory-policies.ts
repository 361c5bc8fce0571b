// MTA-STS policies kept in memory: the store of a process that shares them with no other.

import type { PolicyEntry, PolicyStore } from './sts-cache.ts';

const MAX_DOMAINS = 10_000;

/** The domain kept longest is forgotten first beyond `maxDomains`. */
export function createMemoryPolicies(maxDomains = MAX_DOMAINS): PolicyStore {
  const entries = new Map<string, PolicyEntry>();

  function write(domain: string, entry: PolicyEntry): void {
    entries.delete(domain);
    entries.set(domain, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= maxDomains) break;
      entries.delete(oldest);
    }
  }

  return {
    read: async (domain) => entries.get(domain),
    async claim(domain, id, nowMs, untilMs) {
      const entry = entries.get(domain);
      const isTaken = entry?.fetch?.id === id && entry.fetch.againAtMs > nowMs;
      if (!isTaken) write(domain, { ...entry, fetch: { id, againAtMs: untilMs } });
      return !isTaken;
    },
    async keep(domain, policy, againAtMs) {
      write(domain, { policy, fetch: { id: policy.id, againAtMs } });
    },
    async fail(domain, id, failed, againAtMs) {
      write(domain, { ...entries.get(domain), fetch: { id, againAtMs, failed } });
    },
  };
}
