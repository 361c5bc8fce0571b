// The destinations of the embedded stack: SMTP servers that accept, greylist, defer, reject, drop connections
// and tarpit as sink-behaviours.ts says, and keep what they accepted octet for octet. Promises: `250` after the
// content is said only for mail that is in `received`; a cut connection never keeps anything.
// Limits: no TLS, no AUTH; the oldest mail is forgotten past `retainBytes`; smtp-server shows A-labels of
// recipients as U-labels and pauses 100 ms before each greeting.

import { mkdir, writeFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import {
  SMTPServer,
  type SMTPServerAddress,
  type SMTPServerDataStream,
  type SMTPServerSession,
} from 'smtp-server';
import {
  behaviourOf,
  contentFate,
  type Encounters,
  type Refusal,
  recipientRefusal,
  replyDelayMs,
} from './sink-behaviours.ts';
import { SINK_HOSTS, type SinkHost } from './sink-zone.ts';

export interface SinkOptions {
  /** One port for all hosts; 0 takes one that is free on all of them. */
  readonly port: number;
  readonly hosts?: readonly SinkHost[];
  /** Divides the greylisting time. */
  readonly speed?: number;
  /** Accepted mail is written there too: `<time>-<number>.eml` and `.json` with the envelope. */
  readonly directory?: string;
  readonly retainBytes?: number;
  /** After every refusal, cut and acceptance. */
  readonly onEvent?: (event: SinkEvent) => void;
}

export interface SinkEvent {
  readonly atMs: number;
  readonly host: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** `250 …` for kept mail, the refusal, or `cut`. */
  readonly reply: string;
}

export interface SinkMail {
  readonly atMs: number;
  readonly host: string;
  readonly sender: string;
  readonly recipients: readonly SinkRecipient[];
  /** As `MAIL` gave them, keys in upper case: BODY, SMTPUTF8, SIZE, RET, ENVID. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The octets between 354 and the final dot, unstuffed, with the last line's CRLF. */
  readonly content: Buffer;
}

export interface SinkRecipient {
  readonly address: string;
  /** NOTIFY and ORCPT. */
  readonly parameters: Readonly<Record<string, string | true>>;
}

export interface Sink {
  readonly port: number;
  readonly hosts: readonly SinkHost[];
  /** In order of acceptance. */
  readonly received: readonly SinkMail[];
  /** The first mail, received already or later, that fits. */
  waitFor(fits: (mail: SinkMail) => boolean): Promise<SinkMail>;
  close(): Promise<void>;
}

const DEFAULT_RETAIN_BYTES = 256 * 1024 * 1024;
/** Tries to find a port that is free on every host. */
const PORT_TRIES = 20;

/** Rejects when the given port is taken on one of the hosts; nothing is left listening then. */
export async function startSink(options: SinkOptions): Promise<Sink> {
  if (options.directory !== undefined) await mkdir(options.directory, { recursive: true });
  const store = createStore(options);
  const hosts = options.hosts ?? SINK_HOSTS;
  for (let tries = 1; ; tries += 1) {
    const servers: HostServer[] = [];
    let port = options.port;
    try {
      for (const host of hosts) {
        const server = createHostServer(host, options, store);
        servers.push(server);
        port = await server.listen(port);
      }
      const closed = servers;
      const close = async () => {
        await Promise.all(closed.map((server) => server.close()));
      };
      return { port, hosts, received: store.received, waitFor: store.waitFor, close };
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      if (hasCode(error, 'EADDRNOTAVAIL')) {
        const aliases = hosts.map(({ address }) => `ifconfig lo0 alias ${address}`).join('; ');
        throw new Error(`the loopback interface lacks the destinations' addresses; on macOS: ${aliases}`, {
          cause: error,
        });
      }
      if (options.port !== 0 || tries === PORT_TRIES) throw error;
    }
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

interface Store {
  readonly received: readonly SinkMail[];
  readonly waitFor: Sink['waitFor'];
  keep(mail: SinkMail): Promise<void>;
  encountersOf(sender: string, recipient: string, nowMs: number): Encounters;
  count(sender: string, recipient: string, what: 'recipientTries' | 'contentTries'): void;
}

function createStore(options: SinkOptions): Store {
  const received: SinkMail[] = [];
  const waiting = new Map<(mail: SinkMail) => boolean, (mail: SinkMail) => void>();
  const encounters = new Map<string, Encounters>();
  const keyOf = (sender: string, recipient: string) => `${sender}\0${recipient.toLowerCase()}`;
  let retainedBytes = 0;
  let written = 0;
  return {
    received,
    waitFor(fits) {
      const found = received.find(fits);
      if (found !== undefined) return Promise.resolve(found);
      return new Promise((resolve) => waiting.set(fits, resolve));
    },
    async keep(mail) {
      if (options.directory !== undefined) {
        written += 1;
        const name = join(options.directory, `${mail.atMs}-${written}`);
        const { content, ...envelope } = mail;
        await writeFile(`${name}.eml`, content);
        await writeFile(`${name}.json`, `${JSON.stringify(envelope, undefined, 2)}\n`);
      }
      received.push(mail);
      retainedBytes += mail.content.length;
      while (retainedBytes > (options.retainBytes ?? DEFAULT_RETAIN_BYTES) && received.length > 1) {
        retainedBytes -= received.shift()?.content.length ?? 0;
      }
      for (const [fits, resolve] of waiting) {
        if (!fits(mail)) continue;
        waiting.delete(fits);
        resolve(mail);
      }
    },
    encountersOf(sender, recipient, nowMs) {
      const key = keyOf(sender, recipient);
      const known = encounters.get(key) ?? { firstAtMs: nowMs, recipientTries: 0, contentTries: 0 };
      encounters.set(key, known);
      return known;
    },
    count(sender, recipient, what) {
      const key = keyOf(sender, recipient);
      const known = encounters.get(key);
      if (known !== undefined) encounters.set(key, { ...known, [what]: known[what] + 1 });
    },
  };
}

interface HostServer {
  listen(port: number): Promise<number>;
  close(): Promise<void>;
}

function createHostServer(host: SinkHost, options: SinkOptions, store: Store): HostServer {
  const sockets = new Map<string, Socket>();
  const socketOf = (session: SMTPServerSession) =>
    sockets.get(`${session.remoteAddress}:${session.remotePort}`);
  const speed = options.speed ?? 1;
  let connections = 0;

  const report = (session: SMTPServerSession, recipients: readonly string[], reply: string) =>
    options.onEvent?.({ atMs: Date.now(), host: host.name, sender: senderOf(session), recipients, reply });

  const server = new SMTPServer({
    name: host.name,
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    hidePIPELINING: host.plain,
    hide8BITMIME: host.plain,
    hideSMTPUTF8: host.plain,
    hideDSN: host.plain,
    hideENHANCEDSTATUSCODES: host.plain,
    onConnect(_session, callback) {
      connections += 1;
      if (host.busy && connections % 2 === 1) callback(refusalError({ code: 421, text: 'busy, try later' }));
      else callback();
    },
    onRcptTo({ address }, session, callback) {
      const nowMs = Date.now();
      const sender = senderOf(session);
      const behaviour = behaviourOf(address);
      const refusal = recipientRefusal(behaviour, store.encountersOf(sender, address, nowMs), nowMs, speed);
      store.count(sender, address, 'recipientTries');
      if (refusal !== undefined) report(session, [address], `${refusal.code} ${refusal.text}`);
      after(replyDelayMs(behaviour), () =>
        refusal === undefined ? callback() : callback(refusalError(refusal)),
      );
    },
    onData(stream, session, callback) {
      const recipients = session.envelope.rcptTo.map(({ address }) => address);
      const sender = senderOf(session);
      const fate = recipients
        .map((address) => contentFate(behaviourOf(address), store.encountersOf(sender, address, Date.now())))
        .find((each) => each !== undefined);
      for (const address of recipients) store.count(sender, address, 'contentTries');
      if (fate === 'drop') {
        stream.once('data', () => socketOf(session)?.destroy());
        report(session, recipients, 'cut in the middle of the content');
        return;
      }
      void readWhole(stream).then(async (content) => {
        if (fate === 'drop-final') {
          report(session, recipients, 'cut after the final dot');
          socketOf(session)?.destroy();
          return;
        }
        if (fate !== undefined) {
          report(session, recipients, `${fate.code} ${fate.text}`);
          callback(refusalError(fate));
          return;
        }
        await store.keep(mailOf(host, session, content));
        report(session, recipients, `250 accepted, ${content.length} octets`);
        const delays = recipients.map((address) => replyDelayMs(behaviourOf(address)));
        after(Math.max(...delays), () => callback());
      });
    },
  });
  server.server.on('connection', (socket: Socket) => {
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    sockets.set(key, socket);
    socket.once('close', () => sockets.delete(key));
  });
  // A peer that resets its connection is no news; the dialogue's end is.
  server.on('error', () => {});

  return {
    async listen(port) {
      await new Promise<void>((resolve, reject) => {
        server.server.once('error', reject);
        server.listen(port, host.address, () => {
          server.server.off('error', reject);
          resolve();
        });
      });
      const bound: string | AddressInfo | null = server.server.address();
      if (bound === null || typeof bound === 'string') throw new Error('the sink does not listen on TCP');
      return bound.port;
    },
    async close() {
      const closed = new Promise<void>((resolve) => {
        if (server.server.listening) server.close(() => resolve());
        else resolve();
      });
      for (const socket of sockets.values()) socket.destroy();
      await closed;
    },
  };
}

function senderOf(session: SMTPServerSession): string {
  const { mailFrom } = session.envelope;
  return mailFrom === false ? '' : mailFrom.address;
}

function mailOf(host: SinkHost, session: SMTPServerSession, content: Buffer): SinkMail {
  const { mailFrom, rcptTo } = session.envelope;
  return {
    atMs: Date.now(),
    host: host.name,
    sender: senderOf(session),
    recipients: rcptTo.map((recipient) => ({
      address: recipient.address,
      parameters: argumentsOf(recipient),
    })),
    parameters: mailFrom === false ? {} : argumentsOf(mailFrom),
    content,
  };
}

function argumentsOf({ args }: SMTPServerAddress): Record<string, string | true> {
  return args === false ? {} : { ...args };
}

/** Never resolves when the connection is lost first: nothing was received then. */
function readWhole(stream: SMTPServerDataStream): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => resolve(Buffer.concat(chunks)));
  });
}

function refusalError({ code, text }: Refusal): Error & { responseCode: number } {
  return Object.assign(new Error(text), { responseCode: code });
}

function after(delayMs: number, call: () => void): void {
  if (delayMs === 0) call();
  else setTimeout(call, delayMs);
}
