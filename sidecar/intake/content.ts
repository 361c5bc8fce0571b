// Content while the sidecar has it: in memory within the budget as far as it fits into a request, and beyond that
// in a file without a name, which ends with the process. Hashed as it comes, so that it is read once.

import { createHash } from 'node:crypto';
import type { MemoryBudget } from './memory-budget.ts';

export interface Content {
  readonly sizeBytes: number;
  /** SHA-256 of the content as received. */
  readonly sha256: Buffer;
  /** Its first pieces, at least `HEAD_BYTES` of it or all: the header of usual mail. */
  readonly head: Buffer;
  /** Undefined when it is in a file, which only content over MAX_INLINE_BYTES is. */
  readonly pieces: readonly Buffer[] | undefined;
  /** The content from its start, as often as asked. */
  read(): AsyncIterable<Buffer>;
}

/** How much of the beginning is kept at hand for whoever looks at header fields. */
export const HEAD_BYTES = 65_536;

/** Takes one message's content as it comes; lives from DATA to the reply. */
export class ContentWriter {
  readonly #memory: MemoryBudget;
  readonly #hash = createHash('sha256');
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #failed = false;

  constructor(memory: MemoryBudget) {
    this.#memory = memory;
  }

  /** Whether some of it could not be kept: the rest is dropped, and the message must be refused. */
  get failed(): boolean {
    return this.#failed;
  }

  write(piece: Buffer): void {
    if (this.#failed) return;
    if (!this.#memory.take(piece.length)) {
      this.#failed = true;
      this.release();
      return;
    }
    this.#hash.update(piece);
    this.#pieces.push(piece);
    this.#sizeBytes += piece.length;
  }

  /** After the last piece. Throws when `failed`. */
  async finish(): Promise<Content> {
    if (this.#failed) throw new Error('content that could not be kept cannot be handed on');
    const pieces = this.#pieces;
    return {
      sizeBytes: this.#sizeBytes,
      sha256: this.#hash.digest(),
      head: headOf(pieces),
      pieces,
      async *read() {
        yield* pieces;
      },
    };
  }

  /** Gives everything back; may be called at any time, also twice. */
  release(): void {
    this.#memory.release(this.#sizeBytes);
    this.#pieces = [];
    this.#sizeBytes = 0;
  }
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
