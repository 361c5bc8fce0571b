// From mail hosts to addresses to connect to: both families of each host, what the policy and Skip_Hosts leave.
// A host comes with few of its addresses, so that the next host is reached while time is left, and with one of each
// family where it has both, so that a family that fails altogether does not hide the other.

import { isIP } from 'node:net';
import type { AddressPolicy } from './address-policy.ts';
import type { AddressFamily, DnsPort } from './dns.ts';
import type { Hop } from './router.ts';
import { shuffled } from './shuffle.ts';

/** A host to ask for addresses of, or an address in its place. */
export type Candidate = Omit<Hop, 'address'>;

export interface AddressSearch {
  readonly hops: readonly Hop[];
  /** `host [address] is private`: what the policy refused. */
  readonly refusals: readonly string[];
  /** Addresses that Skip_Hosts names. */
  readonly skipped: readonly string[];
  /** `host [address]`: those that Prohibited_Hosts names. */
  readonly prohibited: readonly string[];
  /** `host: ECODE`: hosts that may have more addresses, since DNS did not answer. */
  readonly failures: readonly string[];
}

export interface AddressSearchOptions {
  readonly dns: DnsPort;
  readonly policy: AddressPolicy;
  readonly skips: (address: string) => boolean;
  readonly prohibits: (address: string) => boolean;
  readonly random: () => number;
  /** Hosts with usable addresses, at most. */
  readonly maxHosts: number;
  readonly maxAddressesPerHost: number;
  /** In the order in which they are tried for a host. */
  readonly families: readonly AddressFamily[];
}

/** Hosts whose addresses are asked for, at most: an MX list may be of any length, and a stranger's. */
const MAX_HOSTS_ASKED = 32;

/** `candidates` in the order to try. Never rejects. */
export async function findAddresses(
  candidates: readonly Candidate[],
  options: AddressSearchOptions,
): Promise<AddressSearch> {
  const hops: Hop[] = [];
  const refusals: string[] = [];
  const skipped: string[] = [];
  const prohibited: string[] = [];
  const failures: string[] = [];
  let hostsFound = 0;

  function take({ candidate, byFamily, failed }: HostAddresses): void {
    if (failed !== undefined) failures.push(`${candidate.host}: ${failed}`);
    const usable = byFamily.map((addresses) =>
      addresses.filter((address) => {
        if (options.prohibits(address)) {
          prohibited.push(`${candidate.host} [${address}]`);
          return false;
        }
        const refusal = options.policy(address);
        if (refusal !== undefined) refusals.push(`${candidate.host} [${address}] ${refusal}`);
        const skips = options.skips(address);
        if (skips) skipped.push(address);
        return refusal === undefined && !skips && !hops.some((hop) => isAt(hop, address, candidate.port));
      }),
    );
    const chosen = [...new Set(alternating(usable))].slice(0, options.maxAddressesPerHost);
    if (chosen.length > 0) hostsFound += 1;
    hops.push(...chosen.map((address) => ({ ...candidate, address })));
  }

  for (let from = 0; from < candidates.length && from < MAX_HOSTS_ASKED; from += options.maxHosts) {
    const batch = candidates.slice(from, Math.min(from + options.maxHosts, MAX_HOSTS_ASKED));
    const answers = await Promise.all(batch.map((candidate) => addressesOf(candidate, options)));
    for (const answer of answers) if (hostsFound < options.maxHosts) take(answer);
    if (hostsFound === options.maxHosts) break;
  }
  return { hops, refusals, skipped, prohibited, failures };
}

export function isAt(hop: Hop, address: string, port: number): boolean {
  return hop.address === address && hop.port === port;
}

interface HostAddresses {
  readonly candidate: Candidate;
  /** One list for each family, in random order. */
  readonly byFamily: readonly (readonly string[])[];
  /** Why an address may be missing. */
  readonly failed: string | undefined;
}

async function addressesOf(candidate: Candidate, options: AddressSearchOptions): Promise<HostAddresses> {
  const { host } = candidate;
  if (isIP(host) !== 0) return { candidate, byFamily: [[host]], failed: undefined };
  const answers = await Promise.all(options.families.map((family) => options.dns.addresses(host, family)));
  const byFamily = answers.map((answer) =>
    answer.kind === 'records'
      ? shuffled(
          answer.records.map((record) => record.address),
          options.random,
        )
      : [],
  );
  const failed = answers.find((answer) => answer.kind === 'failed')?.code;
  return { candidate, byFamily, failed };
}

/** The first of each list, then the second of each, and so on. */
function alternating(lists: readonly (readonly string[])[]): readonly string[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}
