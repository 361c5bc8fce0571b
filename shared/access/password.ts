// Passwords of senders, kept as scrypt hashes (RFC 7914) with a salt each. Verification costs tens of
// milliseconds on purpose; a verified pair is remembered for the process under a key that never leaves it, so
// that a busy sender pays once per container.

import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(scrypt);

/** N=2^14, r=8, p=1: 16 MiB and about 40 ms; RFC 7914 §2 names the parameters. */
const COST = { N: 16_384, r: 8, p: 1 };
const HASH_BYTES = 32;
const MOST_REMEMBERED = 1_000;

/** `scrypt$N$r$p$salt$hash`, the last two in base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, HASH_BYTES, COST);
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64'), hash.toString('base64')].join('$');
}

export interface PasswordVerifier {
  verify(name: string, password: string): Promise<boolean>;
}

export interface KnownUsers extends PasswordVerifier {
  /** Another value for another password; undefined for a name that is not known. */
  credentialOf(name: string): string | undefined;
}

/** `hashes` by credential name. Unknown names cost as much time as wrong passwords. */
export function createPasswordVerifier(hashes: ReadonlyMap<string, string>): KnownUsers {
  const processKey = randomBytes(32);
  const verified = new Set<string>();
  const unknown = ['scrypt', COST.N, COST.r, COST.p, 'AAAAAAAAAAAAAAAAAAAAAA==', 'AA=='].join('$');
  return {
    credentialOf: (name) => hashes.get(name),
    async verify(name, password) {
      const stored = hashes.get(name);
      const token = createHmac('sha256', processKey)
        .update(JSON.stringify([name, stored ?? '', password]))
        .digest('base64');
      if (verified.has(token)) return true;
      const matches = await matchesHash(password, stored ?? unknown);
      if (stored === undefined || !matches) return false;
      if (verified.size >= MOST_REMEMBERED) verified.clear();
      verified.add(token);
      return true;
    },
  };
}

async function matchesHash(password: string, stored: string): Promise<boolean> {
  const [kind, n, r, p, salt, hash] = stored.split('$');
  if (kind !== 'scrypt' || salt === undefined || hash === undefined) return false;
  const wanted = Buffer.from(hash, 'base64');
  const cost = { N: Number(n), r: Number(r), p: Number(p) };
  const found = await derive(password, Buffer.from(salt, 'base64'), HASH_BYTES, cost);
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}
