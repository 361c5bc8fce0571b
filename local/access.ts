// Who may call the API of `npm start`: everybody on the loopback interface, or those in a credentials file. The
// stack's own sidecar then gets a credential of its own, whose password lives as long as the process.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Authentication } from '../functions/receive/handler.ts';
import { parseCredentials } from '../shared/access/credentials.ts';
import { createPasswordVerifier, hashPassword } from '../shared/access/password.ts';
import { ConfigurationFaults } from './configuration.ts';

/** Stable, since a repeat is recognised by credential and id. */
const SIDECAR = 'embedded-sidecar';

export interface Access {
  readonly authentication: Authentication;
  /** What the stack's own sidecar sends; undefined: the API is open. */
  readonly sidecar: { readonly user: string; readonly password: string } | undefined;
  /** A name from the file, for examples. */
  readonly example: string | undefined;
}

export const OPEN_ACCESS: Access = {
  authentication: { kind: 'open', credential: 'local' },
  sidecar: undefined,
  example: undefined,
};

/** Throws `ConfigurationFaults` when the file cannot be used. */
export async function readAccess(file: string): Promise<Access> {
  const parsed = parseCredentials(readText(file));
  if (!parsed.ok) throw new ConfigurationFaults(`${file}: ${parsed.fault}`);
  if (parsed.hashes.has(SIDECAR)) {
    throw new ConfigurationFaults(`${file}: the credential name ${SIDECAR} is this stack's own`);
  }
  const password = randomBytes(24).toString('base64url');
  const hashes = new Map([...parsed.hashes, [SIDECAR, await hashPassword(password)]]);
  return {
    authentication: { kind: 'basic', verifier: createPasswordVerifier(hashes) },
    sidecar: { user: SIDECAR, password },
    example: [...parsed.hashes.keys()][0] ?? SIDECAR,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationFaults(error instanceof Error ? error.message : String(error));
  }
}
