// Fetches a domain's MTA-STS policy from its policy host (RFC 8461 §3.3): HTTPS with a certificate that is good
// for `mta-sts.<domain>`, TLS 1.2 or later, status 200, text/plain, at most 64 KiB, no redirects, no cache; within
// ten seconds from the first DNS question to the last octet, since mail waits for it. The host's addresses pass the
// address policy (I10): it is a stranger who names them. Never rejects.

import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { checkDnsIdentity } from '../smtp/tls-identity.ts';
import { CERTIFICATE_FAULTS, tlsErrorCode } from '../smtp/tls-result.ts';
import type { AddressPolicy } from './address-policy.ts';
import type { DnsPort } from './dns.ts';
import { MAX_POLICY_BYTES } from './mta-sts-policy.ts';

/** RFC 8460 §4.3.2.2: what kept a policy from being used. */
export type StsFailure = 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid';

export type StsFetched =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'failed'; readonly failure: StsFailure; readonly because: string };

/** `domain` in A-labels. */
export type StsFetch = (domain: string) => Promise<StsFetched>;

export interface StsFetchOptions {
  readonly dns: Pick<DnsPort, 'addresses'>;
  readonly policy: AddressPolicy;
  /** 10 s when absent; the RFC suggests a minute at most. */
  readonly timeoutMs?: number;
  /** 443 when absent. */
  readonly port?: number;
  /** PEM; the platform's own authorities when absent. */
  readonly ca?: string;
}

const TIMEOUT_MS = 10_000;
/** For each address but the last; Node's own quarter of a second is less than a far round trip. */
const ADDRESS_TIMEOUT_MS = 2_000;

/** A fresh connection and a full handshake each time. */
const EACH_ITS_OWN = new Agent({
  keepAlive: false,
  maxCachedSessions: 0,
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS,
});

export function createStsFetch(options: StsFetchOptions): StsFetch {
  const { timeoutMs = TIMEOUT_MS } = options;
  return async (domain) => {
    const ended = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<StsFetched>((resolve) => {
      timer = setTimeout(() => resolve(failed(`no policy within ${timeoutMs / 1_000} s`)), timeoutMs);
    });
    const fetched = await Promise.race([fetchFrom(`mta-sts.${domain}`, options, ended.signal), late]);
    clearTimeout(timer);
    ended.abort();
    return fetched;
  };
}

async function fetchFrom(host: string, options: StsFetchOptions, signal: AbortSignal): Promise<StsFetched> {
  const addresses = await addressesOf(host, options);
  if (typeof addresses === 'string') return failed(addresses);
  if (signal.aborted) return failed('given up');
  try {
    return await get(host, lookupOf(addresses), options, signal);
  } catch (error) {
    const code = tlsErrorCode(error);
    const because = error instanceof Error ? `${code}: ${error.message}` : code;
    return CERTIFICATE_FAULTS.has(code)
      ? { kind: 'failed', failure: 'sts-webpki-invalid', because }
      : failed(because);
  }
}

type Address = { readonly address: string; readonly family: 4 | 6 };

/** Where mail may go as well, or why there is nothing. */
async function addressesOf(
  host: string,
  { dns, policy }: StsFetchOptions,
): Promise<readonly Address[] | string> {
  const families = [4, 6] as const;
  const answers = await Promise.all(families.map((family) => dns.addresses(host, family)));
  const found = answers.flatMap((answer, index): readonly Address[] =>
    answer.kind === 'records'
      ? answer.records.map(({ address }) => ({ address, family: index === 0 ? 4 : 6 }))
      : [],
  );
  const usable = found.filter(({ address }) => policy(address) === undefined);
  if (usable.length > 0) return usable;
  if (found.length > 0)
    return found.map(({ address }) => `${host} [${address}] ${policy(address)}`).join(', ');
  const unanswered = answers.find((answer) => answer.kind === 'failed');
  return unanswered === undefined
    ? `${host} has no address`
    : `DNS did not answer for ${host}: ${unanswered.code}`;
}

/** Node connects to what this says and to nothing else; it tries the next address when one does not answer. */
function lookupOf(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all === true || first === undefined) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}

function get(
  host: string,
  lookup: LookupFunction,
  { port = 443, ca }: StsFetchOptions,
  signal: AbortSignal,
): Promise<StsFetched> {
  return new Promise((resolve, reject) => {
    const asking = request({
      agent: EACH_ITS_OWN,
      checkServerIdentity: checkDnsIdentity,
      headers: { accept: 'text/plain', 'accept-encoding': 'identity', connection: 'close' },
      host,
      lookup,
      minVersion: 'TLSv1.2',
      path: '/.well-known/mta-sts.txt',
      port,
      rejectUnauthorized: true,
      servername: host,
      signal,
      ...(ca === undefined ? {} : { ca }),
    });
    // More than one may come, and one that nobody hears would end the process.
    asking.on('error', reject);
    asking.once('response', (response) => {
      response.on('error', reject);
      read(response)
        .then(resolve, reject)
        .finally(() => asking.destroy());
    });
    asking.end();
  });
}

async function read(response: IncomingMessage): Promise<StsFetched> {
  const { statusCode = 0, headers } = response;
  if (statusCode !== 200) return failed(`status ${statusCode}`);
  const type = headers['content-type'] ?? '';
  if (!/^text\/plain[ \t]*(;|$)/i.test(type)) return failed(`content type "${type}"`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') return failed(`content encoding "${encoding}"`);
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of response) {
    const bytes = Buffer.from(piece);
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_POLICY_BYTES) return failed(`more than ${MAX_POLICY_BYTES} octets`);
    pieces.push(bytes);
  }
  return { kind: 'text', text: Buffer.concat(pieces).toString('utf8') };
}

function failed(because: string): StsFetched {
  return { kind: 'failed', failure: 'sts-policy-fetch-error', because };
}
