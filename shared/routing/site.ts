// The name of a site: the set of hosts that take a domain's mail, whatever their order and preference. Domains
// with the same hosts share the name, and with it limits and sessions. The name is stable across lookups.

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';

/** A longer name is cut and ends with a hash, so that it fits into keys and stays readable. */
const MAX_SITE_LENGTH = 255;

export interface SiteHost {
  readonly host: string;
  readonly port: number;
  readonly source: 'mx' | 'routes';
}

/**
 * The site of these hosts. Sessions are shared within a site, so whatever makes a session of one domain unfit for
 * another is part of the name: a port other than the usual one, hosts that the operator named (`smtp://` stands in
 * front; they may be private, where a stranger's MX may not lead), addresses that the domain skips.
 */
export function siteOf(
  hosts: readonly SiteHost[],
  { usualPort, skipped }: { readonly usualPort: number; readonly skipped: readonly string[] },
): string {
  const names = hosts.map(({ host, port }) => {
    const name = isIP(host) === 0 ? host : `[${host}]`;
    return port === usualPort ? name : `${name}:${port}`;
  });
  const scheme = hosts.some(({ source }) => source === 'routes') ? 'smtp://' : '';
  const without = [...new Set(skipped)].sort();
  const mark = without.length === 0 ? '' : `-${hashOf(without.join()).slice(0, 8)}`;
  return clipped(`${scheme}${siteName(names)}${mark}`);
}

/**
 * `mx.example.net` for one host, `(mx1|mx2).example.net` for several that share their last labels; a host that
 * is itself those last labels makes the part in parentheses optional: `(alt1|alt2)?.mx.example.net`.
 * At least one host.
 */
export function siteName(hosts: readonly string[]): string {
  const names = [...new Set(hosts.map((host) => host.toLowerCase().replace(/\.$/, '')))].sort();
  const shared = sharedLabels(names.map((name) => name.split('.')));
  const suffix = shared.join('.');
  const heads = names.map((name) =>
    name.slice(0, shared.length === 0 ? undefined : -suffix.length).replace(/\.$/, ''),
  );
  return clipped(joined(heads, suffix));
}

function joined(heads: readonly string[], suffix: string): string {
  const named = heads.filter((head) => head !== '');
  if (named.length === 0) return suffix;
  if (heads.length === 1) return suffix === '' ? (named[0] ?? '') : `${named[0]}.${suffix}`;
  const group = `(${named.join('|')})${named.length === heads.length ? '' : '?'}`;
  return suffix === '' ? group : `${group}.${suffix}`;
}

/** The labels at the end that all names have. */
function sharedLabels(names: readonly (readonly string[])[]): readonly string[] {
  const first = names[0] ?? [];
  // The octets at the end of an address say nothing.
  if (names.some(([label]) => label?.startsWith('['))) return [];
  for (let start = 0; start < first.length; start++) {
    const end = first.slice(start);
    const isShared = names.every((labels) => labels.slice(-end.length).join('.') === end.join('.'));
    if (isShared) return end;
  }
  return [];
}

function clipped(name: string): string {
  if (name.length <= MAX_SITE_LENGTH) return name;
  const hash = hashOf(name).slice(0, 32);
  return `${name.slice(0, MAX_SITE_LENGTH - hash.length - 1)}~${hash}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
