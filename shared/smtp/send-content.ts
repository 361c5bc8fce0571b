// Writes content and its final dot to a socket: dot-stuffed, otherwise octet for octet, one piece at a time,
// so that memory holds one piece however slow the peer is. A source that fails, or that is longer or shorter
// than announced, throws ContentError before the final dot has left, so the peer never takes a part of a
// message for the whole.

import { addAbortSignal, Readable, type Writable } from 'node:stream';
import type { SmtpContent } from './client.ts';
import { createDotStuffer } from './dot-stuffing.ts';

export class ContentError extends Error {
  readonly code = 'CONTENT_FAILED';
}

export interface ContentProgress {
  /** A piece left. */
  moved(): void;
  /** The final dot is handed to the socket, with the last piece. */
  finalDotSent(): void;
  /** The final dot left. */
  finalDotLeft(): void;
}

/**
 * Resolves when the final dot left, or when the socket took no more: whoever listens to the socket learns of
 * its loss. Throws ContentError. The source is closed in any case, also when `stop` is aborted.
 */
export async function sendContent(
  content: SmtpContent,
  socket: Writable,
  progress: ContentProgress,
  stop: AbortSignal,
): Promise<void> {
  const stuffer = createDotStuffer();
  let sizeBytes = 0;
  /** The last piece waits for the next, so that the final dot shares its packet. */
  let waiting: Uint8Array | undefined;
  try {
    const opened = await content.open();
    const source = addAbortSignal(stop, opened instanceof Readable ? opened : Readable.from(opened));
    for await (const piece of source) {
      const octets = octetsOf(piece);
      if (octets.length === 0) continue;
      sizeBytes += octets.length;
      if (sizeBytes > content.sizeBytes) break;
      if (waiting !== undefined && !(await written(socket, [waiting]))) return;
      progress.moved();
      waiting = stuffer.push(octets);
    }
  } catch (cause) {
    throw new ContentError('the content could not be read', { cause });
  }
  if (sizeBytes !== content.sizeBytes) {
    throw new ContentError(`the content is not of the ${content.sizeBytes} octets that were announced`);
  }
  progress.finalDotSent();
  if (await written(socket, waiting === undefined ? [stuffer.end()] : [waiting, stuffer.end()])) {
    progress.finalDotLeft();
  }
}

/** Whether the pieces left together; false when the socket is lost. */
function written(socket: Writable, pieces: readonly Uint8Array[]): Promise<boolean> {
  return new Promise((resolve) => {
    const last = pieces.length - 1;
    socket.cork();
    for (const [i, piece] of pieces.entries()) {
      if (i < last) socket.write(piece);
      else socket.write(piece, (error) => resolve(error === null || error === undefined));
    }
    socket.uncork();
  });
}

function octetsOf(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw new TypeError('content must come as octets');
}
