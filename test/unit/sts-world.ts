// A world for tests of MTA-STS policies: what DNS and policy hosts say can be changed, the clock stands until it is
// moved, and several processes share one store in memory.

import { StoreError } from '../../shared/queue/ports.ts';
import type { DnsAnswer } from '../../shared/routing/dns.ts';
import {
  createStsPolicies,
  type PolicyEntry,
  type PolicyStore,
  type StsPolicies,
} from '../../shared/routing/sts-cache.ts';
import type { StsFetched } from '../../shared/routing/sts-fetch.ts';

const DAY_MS = 86_400_000;

export interface PolicyWorld {
  readonly calls: readonly string[];
  readonly failures: readonly string[];
  readonly storeFailures: readonly unknown[];
  readonly store: PolicyStore;
  txt: DnsAnswer<readonly string[]>;
  fetched: StsFetched;
  isStoreDown: boolean;
  publish(id: string, mode: string, maxAgeSeconds: number): void;
  process(options?: { readonly maxDomains?: number; readonly pausesMoveClock?: boolean }): StsPolicies;
  nowMs(): number;
  move(ms: number): void;
  count(verb: string): number;
  /** From now on fetches wait. */
  holdFetches(): { readonly begun: Promise<void>; release(): void };
}

export function startWorld(): PolicyWorld {
  let nowMs = DAY_MS;
  let gate: { readonly begun: () => void; readonly released: Promise<void> } | undefined;
  const calls: string[] = [];
  const failures: string[] = [];
  const storeFailures: unknown[] = [];
  const stored = memoryStore();
  const reached = async <T>(call: string, run: () => Promise<T>): Promise<T> => {
    if (world.isStoreDown) throw new StoreError('not-applied', 'down');
    calls.push(call);
    return run();
  };
  const world: PolicyWorld = {
    calls,
    failures,
    storeFailures,
    store: {
      read: (domain) => reached(`read ${domain}`, () => stored.read(domain)),
      claim: (domain, id, ...rest) =>
        reached(`claim ${domain} ${id}`, () => stored.claim(domain, id, ...rest)),
      keep: (domain, policy, ...rest) =>
        reached(`keep ${domain} ${policy.id}`, () => stored.keep(domain, policy, ...rest)),
      fail: (domain, id, ...rest) => reached(`fail ${domain} ${id}`, () => stored.fail(domain, id, ...rest)),
    },
    txt: { kind: 'nxdomain' },
    fetched: { kind: 'failed', failure: 'sts-policy-fetch-error', because: 'status 404' },
    isStoreDown: false,
    publish(id, mode, maxAgeSeconds) {
      world.txt = { kind: 'records', records: [[`v=STSv1; id=${id};`]] };
      const text = `version: STSv1\r\nmode: ${mode}\r\nmx: mx.example.net\r\nmax_age: ${maxAgeSeconds}\r\n`;
      world.fetched = { kind: 'text', text };
    },
    process: ({ maxDomains, pausesMoveClock = false } = {}) =>
      createStsPolicies({
        txt: async (name) => {
          calls.push(`txt ${name}`);
          return world.txt;
        },
        fetch: async (domain) => {
          calls.push(`fetch ${domain}`);
          gate?.begun();
          await gate?.released;
          return world.fetched;
        },
        store: world.store,
        clock: {
          nowMs: () => nowMs,
          pause: async (ms) => {
            if (pausesMoveClock) nowMs += ms;
            await new Promise((resolve) => setImmediate(resolve));
          },
        },
        onFailure: (domain, { id, failure }) => failures.push(`${domain} ${id} ${failure}`),
        onStoreFailure: (error) => storeFailures.push(String(error)),
        ...(maxDomains === undefined ? {} : { maxDomains }),
      }),
    nowMs: () => nowMs,
    move(ms) {
      nowMs += ms;
    },
    count: (verb) => calls.filter((call) => call.startsWith(verb)).length,
    holdFetches() {
      const begun = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      gate = { begun: begun.resolve, released: released.promise };
      return { begun: begun.promise, release: released.resolve };
    },
  };
  return world;
}

export function memoryStore(): PolicyStore {
  const entries = new Map<string, PolicyEntry>();
  return {
    read: async (domain) => entries.get(domain),
    async claim(domain, id, nowMs, untilMs) {
      const entry = entries.get(domain);
      if (entry?.fetch?.id === id && entry.fetch.againAtMs > nowMs) return false;
      entries.set(domain, { ...entry, fetch: { id, againAtMs: untilMs } });
      return true;
    },
    async keep(domain, policy, againAtMs) {
      entries.set(domain, { policy, fetch: { id: policy.id, againAtMs } });
    },
    async fail(domain, id, failed, againAtMs) {
      entries.set(domain, { ...entries.get(domain), fetch: { id, againAtMs, failed } });
    },
  };
}
