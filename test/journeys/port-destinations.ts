// Destinations without sockets: the sink's scripted behaviour behind the SMTP port, and a router that knows its
// domains. For trials in memory; journeys over sockets use the sink itself.

import { behaviourOf, contentFate, type Encounters, recipientRefusal } from '../../local/sink-behaviours.ts';
import type { Router } from '../../shared/routing/router.ts';
import type { RecipientOutcome, SmtpClient, TransactionResult } from '../../shared/smtp/client.ts';
import { NO_EXTENSIONS } from '../../shared/smtp/ehlo.ts';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';

export interface ArrivedMail {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
}

export interface Destinations {
  readonly smtp: SmtpClient;
  readonly router: Router;
  readonly arrived: readonly ArrivedMail[];
}

const OK: Reply = { code: 250, enhanced: '2.0.0', text: 'kept' };

/** Behaviour by address as in the sink; `dns-fails.test` gets no answer from DNS, `nowhere.test` does not exist. */
export function createDestinations(nowMs: () => number): Destinations {
  const arrived: ArrivedMail[] = [];
  const encounters = new Map<string, Encounters>();
  const meet = (sender: string, address: string, what: 'recipientTries' | 'contentTries'): Encounters => {
    const key = `${sender}\0${address}`;
    const before = encounters.get(key) ?? { firstAtMs: nowMs(), recipientTries: 0, contentTries: 0 };
    encounters.set(key, { ...before, [what]: before[what] + 1 });
    return before;
  };

  const smtp: SmtpClient = {
    async open(target) {
      let usable = true;
      return {
        kind: 'opened',
        session: {
          target,
          tls: undefined,
          extensions: NO_EXTENSIONS,
          async ready() {},
          get usable() {
            return usable;
          },
          async transact({ sender, recipients }, content) {
            const refusals = recipients.map(({ address }) =>
              recipientRefusal(behaviourOf(address), meet(sender, address, 'recipientTries'), nowMs(), 1),
            );
            const taken = recipients.filter((_, index) => refusals[index] === undefined);
            const said = (fallback: RecipientOutcome): TransactionResult => ({
              kind: 'settled',
              outcomes: refusals.map((refusal): RecipientOutcome => {
                if (refusal === undefined) return fallback;
                const kind = refusal.code < 500 ? 'transient' : 'permanent';
                return { kind, stage: 'rcpt', reply: refusal };
              }),
            });
            if (taken.length === 0) return said({ kind: 'delivered', stage: 'final', reply: OK });
            const fates = taken.map(({ address }) =>
              contentFate(behaviourOf(address), meet(sender, address, 'contentTries')),
            );
            const fate = fates.find((each) => each !== undefined);
            const pieces: Uint8Array[] = [];
            for await (const piece of await content.open()) pieces.push(piece);
            const octets = Buffer.concat(pieces);
            if (octets.length !== content.sizeBytes) throw new Error('the content has another size');
            if (fate === 'drop' || fate === 'drop-final') {
              usable = false;
              const reply = ownReply(421, '4.4.2', 'connection lost');
              return said(
                fate === 'drop'
                  ? { kind: 'transient', stage: 'content', reply }
                  : { kind: 'uncertain', stage: 'final', reply },
              );
            }
            if (fate !== undefined) {
              const kind = fate.code < 500 ? 'transient' : 'permanent';
              return said({ kind, stage: 'final', reply: fate });
            }
            arrived.push({ sender, recipients: taken.map(({ address }) => address), content: octets });
            return said({ kind: 'delivered', stage: 'final', reply: OK });
          },
          async quit() {
            usable = false;
          },
          destroy() {
            usable = false;
          },
        },
      };
    },
  };
  const router: Router = {
    async route(domain) {
      if (domain === 'dns-fails.test') {
        return { kind: 'postpone', reply: ownReply(451, '4.4.3', 'DNS does not answer') };
      }
      if (domain === 'nowhere.test') {
        return { kind: 'permanent', reply: ownReply(550, '5.1.2', 'no such domain') };
      }
      return {
        kind: 'hops',
        site: domain,
        hops: [{ host: `mx.${domain}`, address: '127.0.0.11', port: 25, source: 'mx' }],
        tls: { mode: 'no', verify: false },
      };
    },
  };
  return { smtp, router, arrived };
}
