// Which MTA-STS policy is in force for a domain (RFC 8461 §3.3, §5.1, §10.2). Promises:
// - A good policy holds until its max_age is over, whatever becomes of its TXT record or its policy host.
// - It is fetched again when the TXT record has another id, after half its life, and daily.
// - A fetch that failed is not repeated for five minutes under the same id; one process at a time fetches.
// - A domain costs at most one TXT question and one read of the store in five minutes and process; without a
//   policy the store is read once an hour. A store that fails costs knowledge, never mail: nothing rejects.
// - An answer takes at most as long as one TXT lookup and one fetch.

import { domainToASCII } from 'node:url';
import type { Clock } from '../queue/ports.ts';
import type { DnsAnswer } from './dns.ts';
import { parseStsPolicy, type StsPolicy } from './mta-sts-policy.ts';
import { parseStsRecord } from './mta-sts-record.ts';
import type { StsFailure, StsFetch } from './sts-fetch.ts';
import type { TxtLookup } from './sts-txt.ts';

/** A policy as it was fetched. */
export interface KeptPolicy {
  /** `id` of the TXT record under which it was fetched. */
  readonly id: string;
  /** The lines that count. */
  readonly text: string;
  readonly fetchedAtMs: number;
  readonly expiresAtMs: number;
}

export interface PolicyFailure {
  readonly failure: StsFailure;
  readonly because: string;
}

/** What the store has of a domain. */
export interface PolicyEntry {
  readonly policy?: KeptPolicy;
  /** The last fetch: no other starts under its id before `againAtMs`. Without a failure it may be under way. */
  readonly fetch?: { readonly id: string; readonly againAtMs: number; readonly failed?: PolicyFailure };
}

/** Policies and fetches, shared between processes. Each call may reject with a StoreError. */
export interface PolicyStore {
  read(domain: string): Promise<PolicyEntry | undefined>;
  /** Takes the right to fetch under `id` until `untilMs`. False: another process has it, or has failed. */
  claim(domain: string, id: string, nowMs: number, untilMs: number): Promise<boolean>;
  /** The fetch gave this policy; nobody needs to fetch under its id before `againAtMs`. */
  keep(domain: string, policy: KeptPolicy, againAtMs: number): Promise<void>;
  /** The fetch failed; a policy that is kept stays. */
  fail(domain: string, id: string, failed: PolicyFailure, againAtMs: number): Promise<void>;
}

export interface StsDecision {
  /** In force; absent when there is none, or its mode is `none`. */
  readonly policy?: StsPolicy & { readonly id: string };
  /** The domain announces a policy, which could not be had lately. */
  readonly failed?: PolicyFailure & { readonly id: string };
}

export interface StsPolicies {
  /** Never rejects. `domain` as the recipient has it: A- or U-labels, or a literal, which has no policy. */
  policyFor(domain: string): Promise<StsDecision>;
}

export interface StsPoliciesOptions {
  readonly txt: TxtLookup;
  readonly fetch: StsFetch;
  readonly store: PolicyStore;
  readonly clock: Clock;
  /** Told of each failed fetch, once by the process that tried. */
  readonly onFailure?: (domain: string, failed: PolicyFailure & { readonly id: string }) => void;
  /** Told why the store did not serve: a StoreError, or a bug. */
  readonly onStoreFailure?: (error: unknown) => void;
  /** Domains remembered in this process; 10,000 when absent. */
  readonly maxDomains?: number;
}

/** Between two looks at DNS. A policy that was just fetched holds at least so long, whatever its max_age. */
const CHECK_MS = 300_000;
/** When DNS did not answer and no policy is known. */
const UNANSWERED_MS = 60_000;
/** That the store knows nothing is believed this long, unless DNS announces a policy. */
const NOTHING_KEPT_MS = 3_600_000;
/** RFC 8461 §3.3: five minutes or longer per id. */
const RETRY_MS = 300_000;
/** Longer than a fetch takes: a process that died while fetching gives way to the next. */
const CLAIM_MS = 15_000;
/** After a good fetch: name servers that disagree about the id must not make everybody fetch in turns. */
const SETTLED_MS = 60_000;
const DAILY_MS = 86_400_000;
/** How often, and how long, a process without a policy looks whether another's fetch has ended. */
const LOOK_MS = 500;
const LOOKS = 20;
const MAX_DOMAINS = 10_000;

interface Known {
  readonly decision: StsDecision;
  readonly untilMs: number;
  readonly entry: PolicyEntry | undefined;
  readonly readAtMs: number;
}

export function createStsPolicies(options: StsPoliciesOptions): StsPolicies {
  const { clock, store, maxDomains = MAX_DOMAINS, onStoreFailure = () => {} } = options;
  const known = new Map<string, Known>();
  const looking = new Map<string, Promise<StsDecision>>();

  function remember(domain: string, what: Known): StsDecision {
    known.delete(domain);
    known.set(domain, what);
    for (const oldest of known.keys()) {
      if (known.size <= maxDomains) break;
      known.delete(oldest);
    }
    return what.decision;
  }

  /** What was known stays when the store does not answer. */
  async function read(domain: string, before: Reading | undefined): Promise<Reading> {
    try {
      return { entry: readable(await store.read(domain)), readAtMs: clock.nowMs() };
    } catch (error) {
      onStoreFailure(error);
      return { entry: before?.entry, readAtMs: before?.readAtMs ?? 0 };
    }
  }

  async function look(domain: string): Promise<StsDecision> {
    const before = known.get(domain);
    const [answer, kept] = await Promise.all([
      options.txt(`_mta-sts.${domain}`),
      isRecent(before, clock.nowMs()) ? before : read(domain, before),
    ]);
    const id = announcedId(answer);
    if (id === undefined) {
      const decision = decide(kept.entry, undefined, clock.nowMs());
      const holdMs = answer.kind === 'failed' && decision.policy === undefined ? UNANSWERED_MS : CHECK_MS;
      return remember(domain, { ...kept, decision, untilMs: holdsUntil(kept.entry, clock.nowMs(), holdMs) });
    }
    let current = kept;
    if (needsFetch(current.entry, id, clock.nowMs())) {
      // Another process may have been faster.
      if (current === before) current = await read(domain, before);
      if (needsFetch(current.entry, id, clock.nowMs())) current = await obtain(domain, id, current);
    }
    const decision = decide(current.entry, id, clock.nowMs());
    // Another process's fetch that never ended here has said nothing.
    const isKnown = inForce(current.entry, clock.nowMs()) !== undefined || hasFailed(current.entry, id);
    const holdMs = isKnown ? CHECK_MS : UNANSWERED_MS;
    return remember(domain, {
      ...current,
      decision,
      untilMs: holdsUntil(current.entry, clock.nowMs(), holdMs),
    });
  }

  /** By a fetch of our own, or by another process's; with a good policy at hand nobody waits for others. */
  async function obtain(domain: string, id: string, from: Reading): Promise<Reading> {
    let current = from;
    for (let looks = 0; ; looks++) {
      const nowMs = clock.nowMs();
      if (!isBarred(current.entry, id, nowMs)) {
        const isOurs = await claim(domain, id, nowMs);
        if (isOurs) return fetchNow(domain, id, current);
      } else if (hasFailed(current.entry, id) || inForce(current.entry, nowMs) !== undefined) return current;
      if (looks === LOOKS) return current;
      if (looks > 0 || isBarred(current.entry, id, nowMs)) await clock.pause(LOOK_MS);
      current = await read(domain, current);
      if (!needsFetch(current.entry, id, clock.nowMs())) return current;
    }
  }

  /** Without a store each process fetches for itself. */
  async function claim(domain: string, id: string, nowMs: number): Promise<boolean> {
    try {
      return await store.claim(domain, id, nowMs, nowMs + CLAIM_MS);
    } catch (error) {
      onStoreFailure(error);
      return true;
    }
  }

  async function fetchNow(domain: string, id: string, current: Reading): Promise<Reading> {
    const fetched = await options.fetch(domain);
    const parsed = fetched.kind === 'text' ? parseStsPolicy(fetched.text) : undefined;
    const nowMs = clock.nowMs();
    if (parsed?.kind === 'policy') {
      const { policy } = parsed;
      const kept: KeptPolicy = {
        id,
        text: policy.lines.join('\n'),
        fetchedAtMs: nowMs,
        expiresAtMs: nowMs + policy.maxAgeSeconds * 1_000,
      };
      const againAtMs = nowMs + SETTLED_MS;
      await store.keep(domain, kept, againAtMs).catch(onStoreFailure);
      return { entry: { policy: kept, fetch: { id, againAtMs } }, readAtMs: nowMs };
    }
    const failed: PolicyFailure =
      fetched.kind === 'failed'
        ? { failure: fetched.failure, because: fetched.because }
        : { failure: 'sts-policy-invalid', because: parsed?.because ?? '' };
    const againAtMs = nowMs + RETRY_MS;
    options.onFailure?.(domain, { ...failed, id });
    await store.fail(domain, id, failed, againAtMs).catch(onStoreFailure);
    return { entry: { ...current.entry, fetch: { id, againAtMs, failed } }, readAtMs: nowMs };
  }

  return {
    policyFor(domain) {
      const name = policyDomain(domain);
      if (name === undefined) return Promise.resolve({});
      const before = known.get(name);
      if (before !== undefined && before.untilMs > clock.nowMs()) return Promise.resolve(before.decision);
      const running = looking.get(name);
      if (running !== undefined) return running;
      const looked = look(name).finally(() => looking.delete(name));
      looking.set(name, looked);
      return looked;
    },
  };
}

interface Reading {
  readonly entry: PolicyEntry | undefined;
  readonly readAtMs: number;
}

/** A policy that another version of this code kept and this one cannot read is fetched anew. */
function readable(entry: PolicyEntry | undefined): PolicyEntry | undefined {
  if (entry?.policy === undefined || parseStsPolicy(entry.policy.text).kind === 'policy') return entry;
  const { policy: _unreadable, ...others } = entry;
  return others;
}

function isRecent(known: Known | undefined, nowMs: number): known is Known {
  return known !== undefined && nowMs - known.readAtMs < NOTHING_KEPT_MS;
}

/** The exact domain after the @, never one above it (RFC 8461 §3.1); undefined for what can have no policy. */
function policyDomain(domain: string): string | undefined {
  if (domain.startsWith('[')) return undefined;
  const name = domainToASCII(domain.replace(/\.$/, '')).toLowerCase();
  return name === '' ? undefined : name;
}

function announcedId(answer: DnsAnswer<readonly string[]>): string | undefined {
  if (answer.kind !== 'records') return undefined;
  const record = parseStsRecord(answer.records);
  return record.kind === 'id' ? record.id : undefined;
}

function endOf(policy: KeptPolicy): number {
  return Math.max(policy.expiresAtMs, policy.fetchedAtMs + CHECK_MS);
}

function inForce(entry: PolicyEntry | undefined, nowMs: number): KeptPolicy | undefined {
  const policy = entry?.policy;
  return policy !== undefined && endOf(policy) > nowMs ? policy : undefined;
}

function needsFetch(entry: PolicyEntry | undefined, id: string, nowMs: number): boolean {
  const policy = inForce(entry, nowMs);
  if (policy === undefined) return true;
  if (nowMs - policy.fetchedAtMs < SETTLED_MS) return false;
  const halfLifeMs = Math.max((policy.expiresAtMs - policy.fetchedAtMs) / 2, CHECK_MS);
  return policy.id !== id || nowMs - policy.fetchedAtMs >= Math.min(halfLifeMs, DAILY_MS);
}

function isBarred(entry: PolicyEntry | undefined, id: string, nowMs: number): boolean {
  return entry?.fetch?.id === id && entry.fetch.againAtMs > nowMs;
}

function hasFailed(entry: PolicyEntry | undefined, id: string): boolean {
  return entry?.fetch?.id === id && entry.fetch.failed !== undefined;
}

/** `id` as DNS announces it now. */
function decide(entry: PolicyEntry | undefined, id: string | undefined, nowMs: number): StsDecision {
  const kept = inForce(entry, nowMs);
  const parsed = kept === undefined ? undefined : parseStsPolicy(kept.text);
  const policy =
    kept !== undefined && parsed?.kind === 'policy' && parsed.policy.mode !== 'none'
      ? { policy: { ...parsed.policy, id: kept.id } }
      : {};
  const failed = id !== undefined && hasFailed(entry, id) ? entry?.fetch?.failed : undefined;
  return failed === undefined || id === undefined ? policy : { ...policy, failed: { ...failed, id } };
}

function holdsUntil(entry: PolicyEntry | undefined, nowMs: number, holdMs: number): number {
  const policy = inForce(entry, nowMs);
  return Math.min(nowMs + holdMs, policy === undefined ? Infinity : endOf(policy));
}
