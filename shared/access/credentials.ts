// The credentials document: who may hand messages over, `{"credentials":{"NAME":"scrypt$…"}}`. It is the secret's
// text on AWS and a file in the embedded stack.

import * as z from 'zod/mini';
import { ID_PATTERN } from '../xfer/message.ts';

export type CredentialsDocument =
  | { readonly ok: true; readonly hashes: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly fault: string };

const HASH_PATTERN = /^scrypt\$\d{4,7}\$\d{1,2}\$\d{1,2}\$[A-Za-z0-9+/=]{16,}\$[A-Za-z0-9+/=]{16,}$/;

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
      return fault(`"${name}" is no credential name: 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _`);
    }
    if (!HASH_PATTERN.test(hash)) {
      return fault(`the value of "${name}" is no scrypt hash; make one with npm run credential`);
    }
  }
  return { ok: true, hashes: new Map(Object.entries(parsed.data.credentials)) };
}

function fault(what: string): CredentialsDocument {
  return { ok: false, fault: `the credentials document is not usable: ${what}` };
}
