// Who hands a message over: a credential's name, from Basic's user name or from the identity that the API's IAM
// authoriser already verified.

import { createHash } from 'node:crypto';
import { ID_PATTERN } from '../xfer/message.ts';
import type { PasswordVerifier } from './password.ts';

export type Identity =
  | { readonly kind: 'known'; readonly credential: string }
  /** 401: no credentials, or not these. */
  | { readonly kind: 'unknown'; readonly detail: string };

/** RFC 7617. Says nothing about whether the name or the password was wrong. */
export async function basicIdentity(
  authorization: string | undefined,
  verifier: PasswordVerifier,
): Promise<Identity> {
  if (authorization === undefined) return unknown('send Basic credentials (Authorization header)');
  const encoded = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization)?.[1];
  if (encoded === undefined) return unknown('the Authorization header must be Basic with base64');
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const name = text.slice(0, Math.max(colon, 0));
  if (!ID_PATTERN.test(name) || name.startsWith('_')) return unknown('these credentials are not known');
  const known = await verifier.verify(name, text.slice(colon + 1));
  return known ? { kind: 'known', credential: name } : unknown('these credentials are not known');
}

/**
 * From the caller's ARN: a hash of account and role or user, without the session part, so that a sender keeps its
 * name whatever its sessions are called.
 */
export function iamIdentity(userArn: string): Identity {
  const match = /^arn:[^:]+:(?:sts|iam)::(\d{12}):(assumed-role|role|user|root|federated-user)\/?(.*)$/.exec(
    userArn,
  );
  const [, account, kind, path] = match ?? [];
  if (account === undefined || kind === undefined) return unknown('the caller has no ARN that is known here');
  const principal = kind === 'assumed-role' ? (path ?? '').split('/')[0] : path;
  const hash = createHash('sha256')
    .update(`${account}/${kind}/${principal ?? ''}`)
    .digest('base64url');
  // Hashes may begin with an underscore, which names of our own do.
  return { kind: 'known', credential: `iam-${hash.slice(0, 22)}` };
}

function unknown(detail: string): Identity {
  return { kind: 'unknown', detail };
}
