// Content while the sidecar has it: in memory within the budget as far as it fits into a request, and beyond that
// in a file without a name, which ends with the process. Hashed as it comes, so that it is read once. Whoever writes
// waits while the disk is behind, so that memory does not grow with the size of a message.

import { createHash } from 'node:crypto';
import { JoinedPieces } from '../../shared/message/joined-pieces.ts';
import { addNewlines, countNewlines, NO_NEWLINES } from '../../shared/message/newlines.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { ScratchFile } from './scratch-space.ts';

export interface Content {
  readonly sizeBytes: number;
  /** SHA-256 of the content as received. */
  readonly sha256: Buffer;
  /** Its first pieces, at least `HEAD_BYTES` of it or all: the header of usual mail. */
  readonly head: Buffer;
  /** A CR without its LF, or an LF without its CR, stands in it. */
  readonly bareNewlines: boolean;
  /** Undefined when it is in a file, which only content over MAX_INLINE_BYTES is. */
  readonly pieces: readonly Buffer[] | undefined;
  /** The content from its start, as often as asked, until its writer is released. */
  read(): AsyncIterable<Buffer>;
}

/** How much of the beginning is kept at hand for whoever looks at header fields. */
export const HEAD_BYTES = 65_536;

/** Why content could not be kept. */
export type ContentFailure =
  /** As much is held in memory as may be. */
  | { readonly kind: 'memory' }
  /** As much lies in files as may. */
  | { readonly kind: 'scratch' }
  /** The system could not write it. */
  | { readonly kind: 'disk'; readonly reason: string };

export class ContentFailedError extends Error {
  readonly code = 'content-failed';
  readonly failure: ContentFailure;

  constructor(failure: ContentFailure) {
    super('content that could not be kept cannot be handed on');
    this.name = 'ContentFailedError';
    this.failure = failure;
  }
}

/** What may wait for the disk before `write` asks for patience. */
const MAX_BEHIND_BYTES = 256 * 1024;

/** Takes one message's content as it comes; lives from DATA to the reply. */
export class ContentWriter {
  readonly #memory: MemoryBudget;
  readonly #hash = createHash('sha256');
  readonly #joined = new JoinedPieces({
    take: (sizeBytes) => this.#take(sizeBytes),
    giveBack: (sizeBytes) => this.#giveBack(sizeBytes),
    keep: (piece) => this.#keep(piece),
  });
  #newlines = NO_NEWLINES;
  #endsInCr = false;
  #sizeBytes = 0;
  /** What `#memory` counts for this message. */
  #takenBytes = 0;
  /** All content, or what waits for the disk. */
  #pieces: Buffer[] = [];
  #behindBytes = 0;
  #head: Buffer | undefined;
  #file: ScratchFile | undefined;
  #flushing: Promise<void> | undefined;
  #failure: ContentFailure | undefined;
  #released = false;

  constructor(memory: MemoryBudget) {
    this.#memory = memory;
  }

  /** Whether some of it could not be kept: the rest is dropped, and the message must be refused. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  get failure(): ContentFailure | undefined {
    return this.#failure;
  }

  /** False asks to wait for `drained` before more is written. */
  write(piece: Buffer): boolean {
    if (this.#failure !== undefined || this.#released || piece.length === 0) return true;
    if (!this.#joined.push(piece) && this.#failure === undefined) this.#fail({ kind: 'memory' });
    return this.#behindBytes <= MAX_BEHIND_BYTES;
  }

  /** Resolves when the disk has caught up, or nothing is kept any more. */
  async drained(): Promise<void> {
    while (this.#behindBytes > MAX_BEHIND_BYTES && this.#flushing !== undefined) await this.#flushing;
  }

  /** After the last piece. Rejects with `ContentFailedError` when `failed`, or when the disk fails at last. */
  async finish(): Promise<Content> {
    if (this.#failure === undefined && !this.#released) this.#joined.end();
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#failure !== undefined) throw new ContentFailedError(this.#failure);
    const file = this.#file;
    const pieces = this.#pieces;
    const { cr, lf, crlf } = this.#newlines;
    return {
      sizeBytes: this.#sizeBytes,
      sha256: this.#hash.digest(),
      head: this.#head ?? headOf(pieces),
      bareNewlines: cr > crlf || lf > crlf,
      pieces: file === undefined ? pieces : undefined,
      read: () => (file === undefined ? inOrder(pieces) : file.read()),
    };
  }

  /** Gives everything back; may be called at any time, also twice. A file lives on until its readers are done. */
  release(): void {
    this.#released = true;
    this.#memory.release(this.#takenBytes);
    this.#takenBytes = 0;
    this.#pieces = [];
    this.#behindBytes = 0;
    this.#head = undefined;
    this.#file?.release();
  }

  #take(sizeBytes: number): boolean {
    if (this.#failure !== undefined || !this.#memory.take(sizeBytes)) return false;
    this.#takenBytes += sizeBytes;
    return true;
  }

  #giveBack(sizeBytes: number): void {
    this.#takenBytes -= sizeBytes;
    this.#memory.release(sizeBytes);
  }

  #keep(piece: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#hash.update(piece);
    this.#newlines = addNewlines(this.#newlines, countNewlines(piece, this.#endsInCr));
    this.#endsInCr = piece[piece.length - 1] === 0x0d;
    this.#pieces.push(piece);
    this.#sizeBytes += piece.length;
    if (this.#file === undefined && this.#sizeBytes <= MAX_INLINE_BYTES) return;
    const failure = this.#toDisk(piece);
    if (failure !== undefined) this.#fail({ kind: failure });
  }

  #toDisk(piece: Buffer): 'memory' | 'scratch' | undefined {
    let newBytes = piece.length;
    if (this.#file === undefined) {
      this.#head = Buffer.from(headOf(this.#pieces));
      if (!this.#take(this.#head.length)) return 'memory';
      this.#file = this.#memory.scratch.file();
      newBytes = this.#sizeBytes;
    }
    if (!this.#file.take(newBytes)) return 'scratch';
    this.#behindBytes += newBytes;
    this.#flushing ??= this.#flush(this.#file);
    return undefined;
  }

  async #flush(file: ScratchFile): Promise<void> {
    try {
      while (this.#pieces.length > 0 && !this.#released) {
        const pieces = this.#pieces;
        this.#pieces = [];
        const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0);
        await file.append(pieces);
        if (this.#released) break;
        this.#behindBytes -= sizeBytes;
        this.#giveBack(sizeBytes);
      }
    } catch (error) {
      if (!this.#released) this.#fail({ kind: 'disk', reason: reasonOf(error) });
    }
    this.#flushing = undefined;
  }

  #fail(failure: ContentFailure): void {
    this.#failure = failure;
    this.release();
  }
}

async function* inOrder(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

function headOf(pieces: readonly Buffer[]): Buffer {
  const first: Buffer[] = [];
  let sizeBytes = 0;
  for (const piece of pieces) {
    if (sizeBytes >= HEAD_BYTES) break;
    first.push(piece);
    sizeBytes += piece.length;
  }
  return first.length === 1 ? (first[0] ?? Buffer.alloc(0)) : Buffer.concat(first);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
