// A socket whose other end is in this process: what Node's own sockets do, without a kernel between. Octets arrive in
// the pieces in which they were said, never in the same turn, and nothing arrives after the end.

import { Socket } from 'node:net';

/** What a peer may do with its end of a connection. */
export interface PeerEnd {
  /** Arrives as one piece. */
  say(octets: Uint8Array): void;
  close(): void;
  reset(): void;
}

/** What a peer hears. */
export interface PeerEar {
  heard(octets: Buffer): void;
  /** The client closed, or was destroyed. */
  gone(): void;
}

export class MemorySocket extends Socket {
  readonly #ear: PeerEar;
  #isGone = false;
  #hasEnded = false;

  readonly #isSlow: boolean;
  readonly #arrived: (octets: Uint8Array) => void;

  /** `answer` is called once, at once; `arrived` for each piece that reaches the client, just before it does. */
  constructor(
    answer: (end: PeerEnd) => PeerEar,
    arrived: (octets: Uint8Array) => void,
    { isSlow }: { readonly isSlow: boolean },
  ) {
    super();
    this.#arrived = arrived;
    this.#isSlow = isSlow;
    this.#ear = answer({
      say: (octets) => setImmediate(() => this.#take(octets)),
      close: () => setImmediate(() => this.#take(null)),
      reset: () =>
        setImmediate(() => {
          if (!this.destroyed) this.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
        }),
    });
    setImmediate(() => {
      if (!this.destroyed) this.emit('connect');
    });
  }

  #take(octets: Uint8Array | null): void {
    if (this.destroyed || this.#hasEnded) return;
    if (octets === null) this.#hasEnded = true;
    else this.#arrived(octets);
    this.push(octets);
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#ear.gone();
  }

  override _read(): void {}

  override _write(
    chunk: Buffer | string,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    // Node's sockets take strings as they are.
    const octets = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    this.#ear.heard(octets);
    // As when the kernel's buffer is full for a moment.
    if (this.#isSlow && octets.length > 4_096) setImmediate(done);
    else done();
  }

  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const pieces = chunks.map(({ chunk, encoding }) =>
      typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
    );
    this._write(Buffer.concat(pieces), 'utf8', done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#leave();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#leave();
    done(error);
    // Node's sockets tell of their end themselves.
    process.nextTick(() => this.emit('close', error !== null));
  }
}
