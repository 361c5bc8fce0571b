// The two clients that are measured in a process of their own: ours through its port, as a site's run uses it, and
// nodemailer's SMTPConnection, as its users do. Each sends letters over one connection, and rejects when one of
// them was not taken: a run that lost mail has no figures.

import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { SMTP_TIMEOUTS } from '../../functions/deliver/egress.ts';
import type { Envelope } from '../../shared/message/envelope.ts';
import type { SmtpClient, SmtpSession } from '../../shared/smtp/client.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import type { Letter } from './letters.ts';

export const HOST = '127.0.0.1';
export const EHLO_NAME = 'bench.sender.example';

/** Resolves when every letter was taken and the connection is closed. `taken` is called for each. */
export type Send = (port: number, letters: readonly Letter[], taken?: () => void) => Promise<void>;

/** Nothing of one run is known in the next. */
export function smtpClient(): SmtpClient {
  return createSmtpClient({ memory: { recall: async () => new Set(), note: async () => {} } });
}

export function ourClient(): Send {
  const client = smtpClient();
  return async (port, letters, taken) => {
    const opened = await client.open({
      host: HOST,
      address: HOST,
      port,
      source: 'routes',
      mxAuthenticated: true,
      ehloName: EHLO_NAME,
      tls: { mode: 'no', verify: false },
      timeouts: SMTP_TIMEOUTS,
    });
    if (opened.kind === 'failed') throw new Error(`no session: ${opened.reply.text}`);
    const { session } = opened;
    try {
      const sent: Promise<void>[] = [];
      for (const letter of letters) {
        await session.ready();
        if (!session.usable) break;
        const one = hand(session, letter).then(taken);
        // Of several that fail, the first is told below.
        one.catch(() => {});
        sent.push(one);
      }
      await Promise.all(sent);
      if (sent.length < letters.length) throw new Error('the session ended too soon');
      await session.quit();
    } finally {
      session.destroy();
    }
  };
}

async function hand(session: SmtpSession, { envelope, sizeBytes, pieces }: Letter): Promise<void> {
  const result = await session.transact(envelope, { sizeBytes, open: async () => pieces() });
  if (result.kind === 'unattempted') throw new Error(`not attempted: ${result.because}`);
  const failed = result.outcomes.find(({ kind }) => kind !== 'delivered');
  if (failed !== undefined) throw new Error(`${failed.kind}: ${failed.reply.code} ${failed.reply.text}`);
}

export function nodemailer(): Send {
  return async (port, letters, taken) => {
    const connection = new SMTPConnection({ host: HOST, port, name: EHLO_NAME, ignoreTLS: true });
    const failed = new Promise<never>((_, reject) => connection.once('error', reject));
    failed.catch(() => {});
    const ended = new Promise<void>((resolve) => connection.once('end', () => resolve()));
    try {
      await Promise.race([
        failed,
        new Promise<void>((resolve, reject) =>
          connection.connect((error) => (error === undefined ? resolve() : reject(error))),
        ),
      ]);
      for (const letter of letters) {
        await Promise.race([failed, sendOne(connection, letter)]);
        taken?.();
      }
      connection.quit();
      await ended;
    } finally {
      connection.close();
    }
  };
}

function sendOne(connection: SMTPConnection, { envelope, sizeBytes, pieces, whole }: Letter): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.send(
      { ...addresses(envelope), size: sizeBytes },
      whole ?? Readable.from(pieces(), { objectMode: false }),
      (error) => (error === null ? resolve() : reject(error)),
    );
  });
}

function addresses({ sender, recipients }: Envelope) {
  return { from: sender, to: recipients.map(({ address }) => address) };
}
