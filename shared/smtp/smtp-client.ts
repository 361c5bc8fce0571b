// Opens SMTP sessions over TCP and TLS: the adapter of the client port. Never throws or rejects.
//
// TLS: `ifavailable` takes what is offered and proves nothing; when the handshake fails, or hangs, the host is called
// again in clear, unless it may not fall back, and once that works it is remembered and called in clear from then on.
// `required` demands
// encryption, and with `verify` a certificate that is trusted and good for the host's name; it never goes in clear,
// whatever is remembered.

import type { OpenOutcome, PeerMemory, PeerTrait, SmtpClient, SmtpTarget, TlsResult } from './client.ts';
import { type AddressPermit, type Dial, type Opening, openOnce } from './opening.ts';
import { createSession } from './session.ts';

export interface SmtpClientOptions {
  /** What peers did against their words, and are therefore no longer asked to do. */
  readonly memory: PeerMemory;
  /** Asked of the address that the socket is connected to: why it must not be spoken to. Everything may when absent. */
  readonly permits?: AddressPermit;
  /** `connect` of node:net when absent. */
  readonly dial?: Dial;
}

export function createSmtpClient(options: SmtpClientOptions): SmtpClient {
  const { memory, permits = () => undefined, dial } = options;

  function outcomeOf(
    target: SmtpTarget,
    opening: Opening,
    traits: ReadonlySet<PeerTrait>,
    tlsResult: TlsResult | undefined,
  ): OpenOutcome {
    const told = tlsResult === undefined ? {} : { tlsResult };
    if (opening.kind === 'failed') {
      return { kind: 'failed', stage: opening.stage, reply: opening.reply, ...told };
    }
    const { wire, extensions, tls } = opening;
    const note = (trait: PeerTrait) => memory.note(target.host, target.port, trait);
    return {
      kind: 'opened',
      session: createSession(wire, { target, tls, extensions, traits, note }),
      ...told,
    };
  }

  return {
    async open(target) {
      const { mode, fallsBack = true } = target.tls;
      const mayFallBack = mode === 'ifavailable' && fallsBack;
      const traits = await memory.recall(target.host, target.port);
      const isKnownToFail = mayFallBack && traits.has('tls-fails');
      const first = await openOnce(target, isKnownToFail ? 'no' : mode, permits, dial);
      if (!mayFallBack || first.kind === 'opened' || !first.handshakeFailed) {
        return outcomeOf(target, first, traits, isKnownToFail ? 'validation-failure' : first.tlsResult);
      }
      const second = await openOnce(target, 'no', permits, dial);
      if (second.kind === 'opened') await memory.note(target.host, target.port, 'tls-fails');
      return outcomeOf(target, second, traits, first.tlsResult);
    },
  };
}
