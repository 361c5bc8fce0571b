// The id of a message, derived from what it is, so that an MTA that hands the same message over again is
// recognised: the receiver answers `duplicate`. Sidecars of the same instance share ids; those that take deferred mail
// must not, since one's withdrawal would take what another said 250 for. The MTA's own
// `Received:` with its queue id stands in the content and makes it unique.

import { createHash } from 'node:crypto';

export interface Identity {
  /** Instance: shared by sidecars that take rerouted mail alone, and by no others. */
  readonly instance: string;
  readonly sender: string;
  /** In any order. */
  readonly recipients: readonly string[];
  /** SHA-256 of the content as received. */
  readonly contentSha256: Buffer;
  /** XFORWARD's attributes, when the client sent any. */
  readonly forwarded: ReadonlyMap<string, string>;
}

/** The attributes that name one message of one upstream client, as they stay over an MTA's repeats. */
const IDENTIFYING_ATTRIBUTES = ['IDENT', 'ADDR', 'PORT'] as const;

/** 43 characters of base64url. */
export function deriveId(identity: Identity): string {
  const forwarded = IDENTIFYING_ATTRIBUTES.map((name) => identity.forwarded.get(name) ?? null);
  const recipients = identity.recipients.toSorted();
  return createHash('sha256')
    .update(JSON.stringify([identity.instance, identity.sender, recipients, forwarded]))
    .update(identity.contentSha256)
    .digest('base64url');
}
