// A tap on every port of a role: each call passes an interceptor, which decides whether, when and how it is
// applied. Crash points, faults and orders of calls are all made here, so none of them is picked by hand.
// A dialogue with a destination is two steps: `smtp.begin`, and `smtp.transact`, which ends with its replies.

import type { Stores } from '../../shared/aws/stores.ts';
import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import { type DueEntry, type DueIndex, StoreError } from '../../shared/queue/ports.ts';
import type { OpenOutcome, RecipientOutcome, SmtpClient, SmtpSession } from '../../shared/smtp/client.ts';
import { ownReply } from '../../shared/smtp/reply.ts';

export interface Ports extends Stores {
  readonly smtp: SmtpClient;
}

export interface PortCall {
  /** `ledger.write`. */
  readonly name: string;
  /** Of the envelope, or of the ledger item, that it is about. */
  readonly recipients: readonly string[];
}

/** The queue took the timers, and nobody will ever see them. */
export class TimersLost extends Error {}

export interface Interceptor {
  /** Runs the call, or does not; what it throws, the caller gets. */
  step<R>(call: PortCall, apply: () => Promise<R>): Promise<R>;
  /** A dialogue about this envelope begins; the result is to be called when it has ended. */
  attempt(envelope: Envelope): () => void;
  opened(session: SmtpSession): void;
}

export function tapPorts(ports: Ports, interceptor: Interceptor): Ports {
  const tap =
    <A extends readonly unknown[], R>(name: string, method: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      interceptor.step({ name, recipients: [] }, () => method(...args));
  const { ledger, users, due, spool, timers, smtp } = ports;
  return {
    ledger: {
      readMessage: tap('ledger.readMessage', ledger.readMessage),
      readItem: tap('ledger.readItem', ledger.readItem),
      write: (item) =>
        interceptor.step({ name: 'ledger.write', recipients: addresses(item.delivery?.recipients) }, () =>
          ledger.write(item),
        ),
      lease: tap('ledger.lease', ledger.lease),
    },
    users: {
      add: tap('users.add', users.add),
      remove: tap('users.remove', users.remove),
      forget: tap('users.forget', users.forget),
    },
    due: {
      entries: (bucket, kind) => tapEntries(due, interceptor, bucket, kind),
      occupied: tap('due.occupied', due.occupied),
      readCursor: tap('due.readCursor', due.readCursor),
      writeCursor: tap('due.writeCursor', due.writeCursor),
    },
    spool: {
      put: tap('spool.put', spool.put),
      open: tap('spool.open', spool.open),
      remove: tap('spool.remove', spool.remove),
      presignPut: tap('spool.presignPut', spool.presignPut),
    },
    timers: {
      // This call answers for each timer, and throws nothing: a failure is a no to all.
      send: async (batch) => {
        const sent = tap('timers.send', timers.send)(batch);
        return sent.catch((error: unknown) => {
          if (error instanceof TimersLost) return batch.map(() => true);
          return orElse(batch.map(() => false))(error);
        });
      },
      hide: tap('timers.hide', timers.hide),
      delete: tap('timers.delete', timers.delete),
      depth: tap('timers.depth', timers.depth),
    },
    smtp: {
      async open(target) {
        const failed: OpenOutcome = {
          kind: 'failed',
          stage: 'connect',
          reply: ownReply(421, '4.4.1', 'no connection'),
        };
        const outcome = await tap('smtp.open', smtp.open)(target).catch(orElse(failed));
        if (outcome.kind !== 'opened') return outcome;
        interceptor.opened(outcome.session);
        return { kind: 'opened', session: tapSession(outcome.session, interceptor) };
      },
    },
  };
}

async function* tapEntries(
  due: DueIndex,
  interceptor: Interceptor,
  bucket: string,
  kind: DueEntry['kind'],
): AsyncGenerator<readonly DueEntry[]> {
  const pages = due.entries(bucket, kind)[Symbol.asyncIterator]();
  for (;;) {
    const page = await interceptor.step({ name: 'due.entries', recipients: [] }, () => pages.next());
    if (page.done === true) return;
    yield page.value;
  }
}

function tapSession(session: SmtpSession, interceptor: Interceptor): SmtpSession {
  const { target, tls, extensions } = session;
  return {
    target,
    tls,
    extensions,
    ready: () => session.ready(),
    get usable() {
      return session.usable;
    },
    async transact(envelope, content) {
      const ended = interceptor.attempt(envelope);
      const recipients = addresses(envelope.recipients);
      try {
        await interceptor.step({ name: 'smtp.begin', recipients }, async () => {});
        return await interceptor.step({ name: 'smtp.transact', recipients }, () =>
          session.transact(envelope, content),
        );
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        session.destroy();
        return { kind: 'settled', outcomes: envelope.recipients.map(() => lost(error.code)) };
      } finally {
        ended();
      }
    },
    quit: () =>
      interceptor.step({ name: 'smtp.quit', recipients: [] }, () => session.quit()).catch(orElse(undefined)),
    destroy: () => session.destroy(),
  };
}

/** A connection that broke before the content is a deferral; after the final dot nobody knows. */
function lost(code: StoreError['code']): RecipientOutcome {
  return code === 'not-applied'
    ? { kind: 'transient', stage: 'mail', reply: ownReply(421, '4.4.2', 'connection lost') }
    : { kind: 'uncertain', stage: 'final', reply: ownReply(421, '4.4.2', 'no reply to the final dot') };
}

function addresses(recipients: readonly Recipient[] = []): readonly string[] {
  return recipients.map(({ address }) => address);
}

function orElse<R>(answer: R): (error: unknown) => R {
  return (error) => {
    if (error instanceof StoreError) return answer;
    throw error;
  };
}
