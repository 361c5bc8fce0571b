// The mail hosts of a domain: its MX records in order of preference, equal ones shuffled; itself when it has none
// (RFC 5321 §5.1); nobody when it says so (RFC 7505). Never rejects.
//
// An answer that DNS gave is a verdict; no answer postpones; a list that cannot be meant is transient: somebody's
// mistake, which may be mended. Whoever is named in the list ourselves passes mail only to the hosts before us, so
// that it does not loop.

import { ownReply, type Reply } from '../smtp/reply.ts';
import { parseAddressLiteral } from './address-literal.ts';
import type { DnsPort, MxRecord } from './dns.ts';
import { comparableName, isHostName, toALabels } from './host-name.ts';
import { shuffled } from './shuffle.ts';

export type MailHosts =
  /** Names or addresses in the order to try, at least one. */
  { readonly kind: 'hosts'; readonly hosts: readonly string[]; readonly isImplicit: boolean } | NoHosts;

/** Why there are none; `RouteOutcome` says what each kind means. */
export interface NoHosts {
  readonly kind: 'permanent' | 'transient' | 'postpone';
  readonly reply: Reply;
}

export interface MailHostsOptions {
  readonly dns: DnsPort;
  /** In [0, 1). */
  readonly random: () => number;
  /** Names under which we are in an MX list, comparable. */
  readonly ownNames: ReadonlySet<string>;
}

/** `domain` is a domain in A- or U-labels, or an address literal in brackets. */
export async function findMailHosts(domain: string, options: MailHostsOptions): Promise<MailHosts> {
  if (domain.startsWith('[')) {
    const address = parseAddressLiteral(domain);
    if (address === undefined) return permanent(550, '5.1.2', `${domain} is not an address`);
    return { kind: 'hosts', hosts: [address], isImplicit: false };
  }
  const name = toALabels(domain);
  if (name === '') return permanent(550, '5.1.2', `${domain} is not a domain name`);

  const answer = await options.dns.mx(name);
  switch (answer.kind) {
    case 'failed':
      return noAnswer(`DNS did not answer for the MX of ${domain}: ${answer.code}`);
    case 'nxdomain':
      return permanent(550, '5.1.2', `${domain} does not exist`);
    case 'nodata':
      return { kind: 'hosts', hosts: [name], isImplicit: true };
    case 'records':
      return readRecords(domain, answer.records, options);
  }
}

export function noAnswer(text: string): NoHosts {
  return { kind: 'postpone', reply: ownReply(451, '4.4.3', text) };
}

/** RFC 3463: X.4.4, unable to route. */
export function noRoute(text: string): NoHosts {
  return { kind: 'transient', reply: ownReply(451, '4.4.4', text) };
}

export function permanent(code: number, enhanced: string, text: string): NoHosts {
  return { kind: 'permanent', reply: ownReply(code, enhanced, text) };
}

function readRecords(domain: string, records: readonly MxRecord[], options: MailHostsOptions): MailHosts {
  const named = records
    .map((mx) => ({ ...mx, exchange: comparableName(mx.exchange) }))
    .filter((mx) => mx.exchange !== '');
  if (named.length === 0) return permanent(556, '5.1.10', `${domain} takes no mail (null MX)`);
  const proper = named.filter((mx) => isHostName(mx.exchange));
  if (proper.length === 0) return noRoute(`no mail host of ${domain} has a proper name`);
  const before = hostsBeforeUs(proper, options.ownNames);
  if (before.length === 0) return permanent(554, '5.4.6', `mail for ${domain} comes back to this host`);
  return { kind: 'hosts', hosts: inOrder(before, options.random), isImplicit: false };
}

/** RFC 5321 §5.1: ourselves, and all that is not preferred to us, is left out. */
function hostsBeforeUs(records: readonly MxRecord[], ownNames: ReadonlySet<string>): readonly MxRecord[] {
  const ours = records.filter((mx) => ownNames.has(mx.exchange)).map((mx) => mx.preference);
  const limit = Math.min(...ours);
  return records.filter((mx) => mx.preference < limit);
}

/** By preference, equal ones in random order; a host that is listed twice counts where it is preferred. */
function inOrder(records: readonly MxRecord[], random: () => number): readonly string[] {
  const sorted = shuffled(records, random).sort((a, b) => a.preference - b.preference);
  return [...new Set(sorted.map((mx) => mx.exchange))];
}
