// Writes content and its final dot to a socket: dot-stuffed, otherwise octet for octet, never faster than the peer
// reads and never held twice, so that memory holds one piece however large the message is. Pieces that are ready
// in one turn leave in one write, and the last of them with the final dot and what may follow it.
//
// Invariant (I6, I7): a source that fails, or that is longer or shorter than announced, ends in `failed` before the
// final dot is handed to the socket, so that no peer takes a part of a message for the whole. Enforced here and by
// the session, which then destroys the socket; test: "content that cannot be read fails the transaction, and the
// peer never sees its end" in test/dialogs/smtp-losses.test.ts.

import { Readable, type Writable } from 'node:stream';
import type { SmtpContent } from './client.ts';
import { createDotStuffer } from './dot-stuffing.ts';

export class ContentError extends Error {
  readonly code = 'CONTENT_FAILED';
}

export interface ContentProgress {
  /** A piece was read, or left. */
  moved(): void;
  /** The final dot is about to be handed to the socket; what is returned leaves in the same write, behind it. */
  finalDot(): string;
  /** The final dot left. */
  finalDotLeft(): void;
  /** No final dot was or will be sent. */
  failed(error: ContentError): void;
}

/** Octets handed to the socket at a time, so that each is stuffed, counted and timed by itself. */
const SLICE_BYTES = 65_536;

/** Beyond this many pieces at a time, copying them costs less than handing each over. */
const MANY_PIECES = 16;

/** Begins to send; the function returned stops it and closes the source. Calls nothing after that. */
export function sendContent(content: SmtpContent, socket: Writable, progress: ContentProgress): () => void {
  const stuffer = createDotStuffer();
  /** Ready to leave; the last piece waits for the next, so that the final dot shares its packet. */
  let ready: Uint8Array[] = [];
  let readyBytes = 0;
  let held: Uint8Array | undefined;
  let flushing: NodeJS.Immediate | undefined;
  let source: AsyncIterable<Uint8Array> | undefined;
  let iterator: AsyncIterator<Uint8Array> | undefined;
  let isStopped = false;
  let wake = (): void => {};

  /** Hands over what is ready, once; called when enough is ready, at the end of a turn, and at the end. */
  function flush(): void {
    clearImmediate(flushing);
    flushing = undefined;
    const pieces = ready;
    ready = [];
    readyBytes = 0;
    if (isStopped) return;
    socket.cork();
    if (pieces.length > MANY_PIECES) socket.write(Buffer.concat(pieces));
    else for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  /** Lets the held piece go, and holds this one. */
  function offer(piece: Uint8Array): void {
    if (held !== undefined) {
      ready.push(held);
      readyBytes += held.length;
      flushing ??= setImmediate(flush);
    }
    held = piece;
    if (readyBytes >= SLICE_BYTES) flush();
  }

  async function drained(): Promise<void> {
    while (socket.writableNeedDrain && !isStopped) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        socket.once('drain', resolve);
      });
      if (!isStopped) progress.moved();
    }
  }

  async function send(): Promise<void> {
    source = await content.open();
    if (isStopped) return close();
    iterator = source[Symbol.asyncIterator]();
    let sizeBytes = 0;
    for (;;) {
      const next = await iterator.next();
      if (isStopped) return;
      if (next.done === true) break;
      const octets = octetsOf(next.value);
      sizeBytes += octets.length;
      if (sizeBytes > content.sizeBytes) break;
      progress.moved();
      for (let from = 0; from < octets.length; from += SLICE_BYTES) {
        offer(stuffer.push(octets.subarray(from, from + SLICE_BYTES)));
        if (socket.writableNeedDrain) await drained();
        if (isStopped) return;
      }
    }
    if (sizeBytes !== content.sizeBytes) {
      throw new ContentError(`the content is not of the ${content.sizeBytes} octets that were announced`);
    }
    const behind = progress.finalDot();
    socket.cork();
    flush();
    if (held !== undefined) socket.write(held);
    socket.write(stuffer.end(), () => {
      if (!isStopped) progress.finalDotLeft();
    });
    if (behind !== '') socket.write(behind);
    socket.uncork();
  }

  function close(): void {
    // It may fail as it is closed, with nobody left to hear of it.
    if (source instanceof Readable) source.on('error', () => {}).destroy();
    else void (async () => await iterator?.return?.())().catch(() => {});
  }

  send().catch((cause: unknown) => {
    if (isStopped) return;
    isStopped = true;
    clearImmediate(flushing);
    close();
    progress.failed(
      cause instanceof ContentError ? cause : new ContentError('the content could not be read', { cause }),
    );
  });

  return () => {
    if (isStopped) return;
    isStopped = true;
    clearImmediate(flushing);
    wake();
    close();
  };
}

function octetsOf(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw new TypeError('content must come as octets');
}
