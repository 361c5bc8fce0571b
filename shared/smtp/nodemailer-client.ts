// Opens SMTP sessions over nodemailer's SMTPConnection: the first adapter of the client port. The TCP
// connection is made here, so that its source address, keepalive, timeout and end are ours; nodemailer then
// leads greeting, EHLO (HELO when refused) and STARTTLS on it. Never throws or rejects.
//
// TLS: `ifavailable` takes what is offered and verifies nothing; when the handshake fails, the host is called
// again in clear, and once that works it is called in clear for an hour. `required` demands encryption, not
// proof of the peer's name. A handshake that fails there fails the opening, transiently.

import { connect, isIP, type Socket } from 'node:net';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { letsGoOn, silence } from './classify.ts';
import type { OpenOutcome, SmtpClient, SmtpTarget, TlsDemand } from './client.ts';
import { createDialogueWatch } from './dialogue-watch.ts';
import { createNodemailerSession, type Dialogue } from './nodemailer-session.ts';
import { formatReply, ownReply } from './reply.ts';

/** A NAT gateway forgets a flow after 350 s of silence; the final dot may take 600 s. */
const KEEPALIVE_MS = 60_000;

/** How long a host whose TLS handshake failed is called in clear. */
const IN_CLEAR_MS = 3_600_000;

/** Hosts remembered for that; the oldest is forgotten first. */
const MAX_HOSTS_IN_CLEAR = 10_000;

/** nodemailer's own timers are set out of the way: the dialogue watch keeps the time. The longest timer. */
const NEVER_MS = 2_147_483_647;

export interface NodemailerClientOptions {
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
}

export function createNodemailerClient(options: NodemailerClientOptions): SmtpClient {
  /** When to try TLS again, by host. */
  const inClearUntilMs = new Map<string, number>();

  function rememberInClear(host: string): void {
    inClearUntilMs.delete(host);
    inClearUntilMs.set(host, options.nowMs() + IN_CLEAR_MS);
    for (const oldest of inClearUntilMs.keys()) {
      if (inClearUntilMs.size <= MAX_HOSTS_IN_CLEAR) break;
      inClearUntilMs.delete(oldest);
    }
  }

  return {
    async open(target) {
      if (target.tls.mode !== 'ifavailable') return (await openOnce(target, target.tls.mode)).outcome;
      if ((inClearUntilMs.get(target.host) ?? 0) > options.nowMs())
        return (await openOnce(target, 'no')).outcome;
      const first = await openOnce(target, 'ifavailable');
      if (!first.handshakeFailed) return first.outcome;
      const second = await openOnce(target, 'no');
      if (second.outcome.kind === 'opened') rememberInClear(target.host);
      return second.outcome;
    },
  };
}

interface Opening {
  readonly outcome: OpenOutcome;
  readonly handshakeFailed: boolean;
}

async function openOnce(target: SmtpTarget, tls: TlsDemand['mode']): Promise<Opening> {
  const startedAt = performance.now();
  const tcp = await openTcp(target);
  if (typeof tcp === 'string') {
    const reply = ownReply(
      421,
      '4.4.1',
      `${target.host} [${target.address}]:${target.port} cannot be reached: ${tcp}`,
    );
    return { outcome: { kind: 'failed', stage: 'connect', reply }, handshakeFailed: false };
  }
  const dialogue = beginDialogue(target, tls, tcp);
  const leftMs = target.timeouts.openingMs - (performance.now() - startedAt);
  const tooSlow = setTimeout(() => dialogue.hangUp(), Math.max(leftMs, 0));
  const connected = await new Promise<boolean>((resolve) => {
    dialogue.ended.then(() => resolve(false));
    dialogue.connection.connect((error) => resolve(error === undefined));
  });
  clearTimeout(tooSlow);
  // A 421 that answers the last command ends the connection in the very moment that it opens.
  if (!connected || dialogue.isEnded()) {
    dialogue.hangUp();
    return failure(dialogue, tls);
  }
  const socket = dialogue.connection._socket;
  if (socket) socket.setKeepAlive(true, KEEPALIVE_MS);
  return { outcome: { kind: 'opened', session: createNodemailerSession(dialogue) }, handshakeFailed: false };
}

/** A connected socket, or why there is none. */
function openTcp(target: SmtpTarget): Promise<Socket | string> {
  const timeoutMs = Math.min(target.timeouts.connectMs, target.timeouts.openingMs);
  return new Promise((resolve) => {
    try {
      const socket = connect({
        host: target.address,
        port: target.port,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_MS,
        ...(target.localAddress === undefined ? {} : { localAddress: target.localAddress }),
      });
      const timer = setTimeout(() => {
        socket.destroy();
        resolve(`no answer within ${timeoutMs / 1000} s`);
      }, timeoutMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(socket);
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        resolve(error.code ?? error.message);
      });
    } catch (error) {
      // Node throws for a source address or a port that cannot be.
      resolve(error instanceof Error ? error.message : String(error));
    }
  });
}

function beginDialogue(target: SmtpTarget, tls: TlsDemand['mode'], tcp: Socket): Dialogue {
  let isEnded = false;
  const watch = createDialogueWatch({
    timeouts: target.timeouts,
    isClosed: () => tcp.destroyed,
    hangUp: () => hangUp(),
  });
  const connection = new SMTPConnection({
    connection: tcp,
    host: target.address,
    port: target.port,
    name: target.ehloName,
    servername: isIP(target.host) === 0 ? target.host : undefined,
    ignoreTLS: tls === 'no',
    opportunisticTLS: tls === 'ifavailable',
    requireTLS: tls === 'required',
    tls: { rejectUnauthorized: false },
    connectionTimeout: NEVER_MS,
    greetingTimeout: NEVER_MS,
    socketTimeout: NEVER_MS,
    logger: watch.logger,
    transactionLog: true,
  });
  // What went wrong is read from the watch; unheard, these events would end the process.
  connection.on('error', () => {});
  tcp.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    connection.once('end', () => {
      isEnded = true;
      watch.stop();
      resolve();
    });
  });
  function hangUp(): void {
    connection.close();
    if (connection._socket) connection._socket.destroy();
    tcp.destroy();
  }
  return { target, connection, watch, ended, isEnded: () => isEnded, hangUp };
}

/** Why a dialogue ended before its first transaction. */
function failure(dialogue: Dialogue, tls: TlsDemand['mode']): Opening {
  const { watch } = dialogue;
  const owed = watch.owed();
  const last = watch.replies().at(-1);
  const stage = owed ?? last?.stage ?? 'greeting';
  const silent = silence(watch.timedOut() === undefined ? 'connection lost' : 'timed out', stage);
  const refusal =
    owed === undefined && last !== undefined && !letsGoOn(last.stage, last.reply) ? last.reply : undefined;
  if (stage !== 'starttls') {
    return { outcome: { kind: 'failed', stage, reply: refusal ?? silent }, handshakeFailed: false };
  }
  // RFC 3463: X.7.4, security features not supported; X.7.5, cryptographic failure.
  const reply =
    refusal === undefined
      ? ownReply(421, '4.7.5', 'the TLS handshake failed')
      : ownReply(
          421,
          '4.7.4',
          `${tls === 'required' ? 'TLS is required; ' : ''}STARTTLS was answered: ${formatReply(refusal)}`,
        );
  return { outcome: { kind: 'failed', stage, reply }, handshakeFailed: refusal === undefined };
}
