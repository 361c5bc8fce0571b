// One session of the listener: reads commands and content from the socket, lets the `Dialogue` answer, and writes
// the replies of a pipelined group at once (RFC 2920). The final dot's reply waits for its verdict; when the client
// is gone before that, the reception is told through an abort signal. Nothing behind a final dot is read before its
// reply, and nothing while the disk is behind, or the client does not read.
// Invariant: what came in clear behind STARTTLS is never heard (sidecar-smtp-tls.test.ts; CVE-2011-0411).

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import type { Peer } from '../intake/admission.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { AuthGuard } from './auth-guard.ts';
import { Deadline } from './deadline.ts';
import { Dialogue, type Step } from './dialogue.ts';
import { Incoming } from './incoming.ts';
import { InputBuffer } from './input-buffer.ts';
import { replyLines } from './reply-lines.ts';
import type { ListenerSettings, TraceLine } from './settings.ts';
import { shownLine } from './shown-line.ts';
import type { TurnedAway } from './turned-away.ts';

export interface SessionOptions {
  /** Of this session and no other. */
  readonly name: string;
  readonly peer: Peer;
  /** The address, or the /64, that it comes from. */
  readonly source: string;
  readonly memory: MemoryBudget;
  readonly guard: AuthGuard;
  readonly away: TurnedAway;
  /** Whoever must authenticate has so long from the connection. */
  readonly strangerTimeoutMs: number;
  readonly settings: () => ListenerSettings;
  /** The connection is no more. */
  closed(session: SmtpSession): void;
}

/** What a client may send ahead while its reply is awaited, before its socket is paused. */
const MAX_AHEAD_BYTES = 64 * 1024;
const MAX_UNSENT_REPLY_CHARACTERS = 16 * 1024;
/** Content that comes slower than this is not waited for: octets a second, averaged over the idle timeout. */
const MIN_CONTENT_RATE = 500;
/** How long a session that we ended waits for the client to close its side. */
export const LINGER_MS = 2_000;

export class SmtpSession {
  #socket: Socket;
  readonly #options: SessionOptions;
  /** As they were when the client connected. */
  readonly #settings: ListenerSettings;
  readonly #dialogue: Dialogue;
  readonly #input = new InputBuffer();
  readonly #deadline = new Deadline(() => this.#timeOut());
  #replies = '';
  #content: Incoming | undefined;
  /** Until a verdict, a password's check or the disk is done with, or TLS is on. */
  #waiting = false;
  /** TLS has begun and is not on yet: nothing can be said. */
  #shakingHands = false;
  #gone: AbortController | undefined;
  #closing = false;
  #ended = false;
  #linger: NodeJS.Timeout | undefined;
  /** Runs from the connection to the end of the session, and ends who is still a stranger. */
  readonly #strangerTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#settings = options.settings();
    this.#dialogue = new Dialogue(options, this.#settings);
    socket.setNoDelay(true);
    this.#attach(socket);
    this.#trace('event', `connected from ${options.peer.address}`);
    this.#say(this.#dialogue.greeting());
    this.#flush();
    this.#deadline.set(this.#settings.idleTimeoutMs);
    if (this.isStranger)
      this.#strangerTimer = setTimeout(() => this.#sendStrangerAway(), options.strangerTimeoutMs);
  }

  /** Whether nobody has authenticated on it who must. */
  get isStranger(): boolean {
    return this.#dialogue.isStranger;
  }

  get source(): string {
    return this.#options.source;
  }

  /** Finishes what is under way, then says 421. Idle sessions end at once. */
  close(): void {
    this.#closing = true;
    if (this.#shakingHands) this.destroy();
    else if (!this.#waiting && this.#content === undefined) this.#goodbye(SHUTTING_DOWN);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #attach(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onError);
  }

  #detach(socket: Socket): void {
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    socket.off('error', this.#onError);
  }

  readonly #onData = (chunk: Buffer): void => this.#receive(chunk);
  readonly #onDrain = (): void => this.#proceed();
  // Exim says QUIT behind its final dot, closes its side, and still waits for the verdict.
  readonly #onEnd = (): void => {
    if (!this.#waiting || !this.#input.endsInQuit) this.#hangUp();
  };
  readonly #onClose = (): void => {
    clearTimeout(this.#linger);
    this.#leave();
    this.#options.closed(this);
  };
  readonly #onError = (error: Error): void => {
    this.#trace('event', error.message);
    this.#leave();
  };

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    this.#input.push(chunk);
    if (this.#content !== undefined && !this.#waiting) {
      this.#deadline.extend((chunk.length / MIN_CONTENT_RATE) * 1_000, this.#settings.idleTimeoutMs);
    }
    this.#proceed();
  }

  // Reads on as far as replies allow, then says what there is to say.
  #proceed(): void {
    while (this.#canRead()) {
      if (this.#content !== undefined) this.#readContent(this.#content);
      else if (!this.#readCommand()) break;
    }
    this.#flush();
    const ahead = this.#waiting && this.#input.sizeBytes > MAX_AHEAD_BYTES;
    const stopped = ahead || this.#socket.writableNeedDrain;
    if (stopped !== this.#socket.isPaused()) {
      if (stopped) this.#socket.pause();
      else this.#socket.resume();
    }
  }

  #canRead(): boolean {
    return !this.#ended && !this.#waiting && this.#input.sizeBytes > 0 && !this.#socket.writableNeedDrain;
  }

  #readCommand(): boolean {
    const line = this.#input.takeLine();
    if (line === undefined) return false;
    if (line === 'too-long') {
      this.#goodbye(ownReply(421, '4.5.2', 'a command line is too long'));
      return false;
    }
    if (this.#settings.trace !== undefined) this.#trace('client', shownLine(line, this.#dialogue.nextSecret));
    this.#deadline.set(this.#settings.idleTimeoutMs);
    if (this.#closing) this.#goodbye(SHUTTING_DOWN);
    else this.#take(this.#dialogue.line(line));
    return true;
  }

  #take(step: Step): void {
    switch (step.kind) {
      case 'reply':
        this.#say(step.reply);
        return;
      case 'goodbye':
        this.#goodbye(step.reply);
        return;
      case 'content':
        this.#say(step.reply);
        this.#content = new Incoming(step.mail, this.#options.memory);
        return;
      case 'tls':
        this.#startTls(step.reply);
        return;
      case 'verify':
        void this.#verify(step.name, step.password);
    }
  }

  #readContent(content: Incoming): void {
    const { rest, isPrompt } = content.push(this.#input.takeAll());
    if (rest !== undefined) {
      if (rest.length > 0) this.#input.push(rest);
      this.#content = undefined;
      this.#trace('client', `(${content.wireBytes} octets of content)`);
      void this.#finish(content);
    } else if (!isPrompt) {
      void this.#waitForDisk(content);
    }
  }

  async #waitForDisk(content: Incoming): Promise<void> {
    this.#wait();
    await content.drained();
    this.#goOn();
  }

  async #finish(content: Incoming): Promise<void> {
    this.#wait();
    const gone = new AbortController();
    this.#gone = gone;
    const client = { ...this.#dialogue.client, session: this.#options.name };
    const replies = await content.verdicts(client, gone.signal, this.#settings.notice, this.#options.away);
    content.release();
    this.#gone = undefined;
    this.#dialogue.contentEnded();
    for (const reply of replies) this.#say(reply);
    this.#goOn();
  }

  async #verify(name: string, password: string): Promise<void> {
    const { users } = this.#settings;
    if (users === undefined) throw new Error('AUTH was offered without users');
    const { guard, peer } = this.#options;
    this.#wait();
    const right = await guard.verify(users, peer.address, name, password, () => this.#ended);
    if (this.#ended) return;
    this.#trace('event', right ? `authenticated as ${name}` : 'wrong name or password');
    this.#take(this.#dialogue.verified(name, right ? users.credentialOf(name) : undefined));
    this.#goOn();
  }

  #startTls(reply: Reply): void {
    const { tls } = this.#settings;
    if (tls === undefined) throw new Error('STARTTLS was offered without a certificate');
    if (this.#input.sizeBytes > 0) {
      this.#trace('event', `${this.#input.sizeBytes} octets came in clear behind STARTTLS`);
      this.#input.clear();
      this.#goodbye(ownReply(421, '4.7.0', 'commands came behind STARTTLS, before TLS'));
      return;
    }
    const plain = this.#socket;
    this.#waiting = true;
    this.#shakingHands = true;
    plain.off('data', this.#onData);
    plain.pause();
    this.#say(reply);
    const lines = this.#replies;
    this.#replies = '';
    plain.write(lines, 'latin1', (error) => {
      if (error || this.#ended) return;
      this.#detach(plain);
      plain.on('error', () => plain.destroy());
      // What came in the meantime is handed to TLS, where it is no handshake.
      const secured = new TLSSocket(plain, { isServer: true, secureContext: tls.context });
      this.#socket = secured;
      this.#attach(secured);
      secured.once('secure', () => this.#secured(secured));
    });
  }

  #secured(socket: TLSSocket): void {
    this.#trace('event', `${socket.getProtocol() ?? 'TLS'} ${socket.getCipher().name}`);
    this.#dialogue.secured();
    this.#shakingHands = false;
    this.#goOn();
  }

  // Whoever is waited for has time of their own, so that the client's silence does not count.
  #wait(): void {
    this.#waiting = true;
    this.#deadline.clear();
  }

  #goOn(): void {
    this.#waiting = false;
    if (this.#ended) return;
    this.#deadline.set(this.#settings.idleTimeoutMs);
    if (this.#closing && this.#content === undefined) this.#goodbye(SHUTTING_DOWN);
    else this.#proceed();
  }

  #say(reply: Reply): void {
    const lines = replyLines(reply);
    this.#replies += lines;
    if (this.#settings.trace !== undefined) {
      for (const line of lines.split('\r\n')) if (line !== '') this.#trace('server', line);
    }
    if (this.#replies.length > MAX_UNSENT_REPLY_CHARACTERS) this.#flush();
  }

  #flush(): void {
    if (this.#replies === '' || this.#ended) return;
    const lines = this.#replies;
    this.#replies = '';
    this.#socket.write(lines, 'latin1');
  }

  #timeOut(): void {
    if (this.#shakingHands) this.destroy();
    else this.#goodbye(ownReply(421, '4.4.2', 'nothing came for too long'));
  }

  #sendStrangerAway(): void {
    if (!this.isStranger) return;
    this.#options.away.refused('auth');
    if (this.#shakingHands) this.destroy();
    else this.#goodbye(ownReply(421, '4.4.2', 'nobody has authenticated for too long'));
  }

  #goodbye(reply: Reply): void {
    if (this.#ended) return;
    this.#say(reply);
    this.#flush();
    this.#hangUp();
  }

  #hangUp(): void {
    if (this.#ended) return;
    this.#leave();
    this.#socket.end();
    this.#socket.resume();
    // A client that does not close its side, or does not read, is not waited for.
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
  }

  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline.stop();
    clearTimeout(this.#strangerTimer);
    this.#input.clear();
    this.#content?.release();
    this.#content = undefined;
    this.#gone?.abort();
    this.#trace('event', 'ended');
  }

  #trace(from: TraceLine['from'], text: string): void {
    this.#settings.trace?.({ session: this.#options.name, from, text });
  }
}

const SHUTTING_DOWN = ownReply(421, '4.3.2', 'shutting down');
