// The credentials document: who may hand messages over, `{"credentials":{"NAME":"scrypt$…"}}`. It is the secret's
// text on AWS and a file in the embedded stack.

import * as z from 'zod/mini';
import { ID_PATTERN } from '../xfer/message.ts';

export type CredentialsDocument =
  | { readonly ok: true; readonly hashes: ReadonlyMap<string, string> }
  | {
      readonly ok: false;
      readonly fault: string;
      /** What is wrong, without the sentence around it. */
      readonly what: string;
      /** The entry to blame, when it is one. */
      readonly name?: string;
    };

/** `scrypt$N$r$p$salt$hash`: the salt of any length from 12 octets up, the hash of 32. */
const HASH_PATTERN = /^scrypt\$(\d{4,7})\$([1-9]\d?)\$([1-8])\$[A-Za-z0-9+/]{16,}={0,2}\$[A-Za-z0-9+/]{43}=$/;
/** What Node's scrypt takes unless told otherwise (`maxmem`); it needs 128 N r octets. */
const SCRYPT_MEMORY_BYTES = 32 * 1024 * 1024;

const documentShape = z.strictObject({ credentials: z.record(z.string(), z.string()) });

/** Names are `[A-Za-z0-9_-]{1,64}`; those that begin with `_` are ours. */
export function parseCredentials(text: string): CredentialsDocument {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fault('it is not JSON');
  }
  const parsed = documentShape.safeParse(json);
  if (!parsed.success) return fault('it must be {"credentials":{"NAME":"scrypt$…"}} and nothing else');
  for (const [name, hash] of Object.entries(parsed.data.credentials)) {
    if (!ID_PATTERN.test(name) || name.startsWith('_')) {
      return fault(`"${name}" is no credential name: 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _`, name);
    }
    if (!isUsableHash(hash)) {
      return fault(`the value of "${name}" is no scrypt hash; make one with npm run credential`, name);
    }
  }
  return { ok: true, hashes: new Map(Object.entries(parsed.data.credentials)) };
}

// A hash that cannot be derived would only be noticed when its sender knocks.
function isUsableHash(hash: string): boolean {
  const [, n, r] = (HASH_PATTERN.exec(hash) ?? []).map(Number);
  if (n === undefined || r === undefined) return false;
  return Number.isInteger(Math.log2(n)) && 128 * n * r < SCRYPT_MEMORY_BYTES;
}

function fault(what: string, name?: string): CredentialsDocument {
  const sentence = `the credentials document is not usable: ${what}`;
  return { ok: false, fault: sentence, what, ...(name !== undefined && { name }) };
}
