// Remembers what DNS said, in memory, for as long as the records allow within bounds, and lets lookups of the
// same name that run at the same time share one question. Failures are not remembered.

import type { AddressRecord, DnsAnswer, DnsPort, MxRecord } from './dns.ts';

/** Node tells no TTL for MX and CNAME; operators rarely move mail faster than this. */
const UNTOLD_TTL_MS = 300_000;
/** For names without records: RFC 2308 lets the zone decide, but Node does not tell its word. */
const NEGATIVE_TTL_MS = 60_000;
const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 3_600_000;
const MAX_ENTRIES = 20_000;

export interface DnsCacheOptions {
  readonly dns: DnsPort;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
}

export function createDnsCache({ dns, nowMs }: DnsCacheOptions): DnsPort {
  const mx = createTable<MxRecord>(nowMs, () => UNTOLD_TTL_MS);
  const aliases = createTable<string>(nowMs, () => UNTOLD_TTL_MS);
  const addresses = createTable<AddressRecord>(nowMs, (records) =>
    Math.min(...records.map((record) => record.ttlSeconds * 1_000)),
  );
  return {
    mx: (name) => mx(name, () => dns.mx(name)),
    addresses: (name, family) => addresses(`${family} ${name}`, () => dns.addresses(name, family)),
    alias: (name) => aliases(name, () => dns.alias(name)),
  };
}

type Lookup<T> = (key: string, ask: () => Promise<DnsAnswer<T>>) => Promise<DnsAnswer<T>>;

function createTable<T>(nowMs: () => number, ttlMs: (records: readonly T[]) => number): Lookup<T> {
  const known = new Map<string, { readonly answer: DnsAnswer<T>; readonly untilMs: number }>();
  const asked = new Map<string, Promise<DnsAnswer<T>>>();

  function remember(key: string, answer: DnsAnswer<T>): void {
    if (answer.kind === 'failed') return;
    const keepMs = answer.kind === 'records' ? ttlMs(answer.records) : NEGATIVE_TTL_MS;
    known.delete(key);
    known.set(key, { answer, untilMs: nowMs() + Math.min(Math.max(keepMs, MIN_TTL_MS), MAX_TTL_MS) });
    for (const oldest of known.keys()) {
      if (known.size <= MAX_ENTRIES) break;
      known.delete(oldest);
    }
  }

  return (key, ask) => {
    const entry = known.get(key);
    if (entry !== undefined && entry.untilMs > nowMs()) return Promise.resolve(entry.answer);
    const running = asked.get(key);
    if (running !== undefined) return running;
    const question = ask()
      .then((answer) => {
        remember(key, answer);
        return answer;
      })
      .finally(() => asked.delete(key));
    asked.set(key, question);
    return question;
  };
}
