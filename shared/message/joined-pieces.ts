// Joins what comes in small pieces, so that content of one octet a piece, or of lines that hold a dot, costs memory by
// its octets and not by its pieces: a Buffer takes a hundred octets beside those it shows. Large pieces pass as they are.

/** Pieces below it are copied. */
const SMALL_BYTES = 4 * 1024;
const MAX_SLAB_BYTES = 64 * 1024;

export interface PieceTaker {
  /** Memory is wanted; false when there is none. */
  take(sizeBytes: number): boolean;
  /** Some of it was not needed. */
  giveBack(sizeBytes: number): void;
  /** The next piece, which does not change any more. It lies in memory that was taken, octet for octet. */
  keep(piece: Buffer): void;
}

/** A slab is as large as all that came before it, up to 64 KiB: a small message takes no more than twice its size. */
export class JoinedPieces {
  readonly #taker: PieceTaker;
  #slab: Buffer = EMPTY;
  /** The slab's octets from here are not kept yet, … */
  #from = 0;
  /** … and from here not used. */
  #used = 0;
  #sizeBytes = 0;

  constructor(taker: PieceTaker) {
    this.#taker = taker;
  }

  /** False when there is no memory for it. */
  push(piece: Buffer): boolean {
    if (piece.length >= SMALL_BYTES) {
      if (!this.#taker.take(piece.length)) return false;
      this.#keepOpen();
      this.#sizeBytes += piece.length;
      this.#taker.keep(piece);
      return true;
    }
    let at = 0;
    while (at < piece.length) {
      if (this.#used === this.#slab.length && !this.#newSlab(piece.length - at)) return false;
      const copied = piece.copy(this.#slab, this.#used, at);
      at += copied;
      this.#used += copied;
      this.#sizeBytes += copied;
      if (this.#used === this.#slab.length) this.#keepOpen();
    }
    return true;
  }

  /** After the last piece, once. */
  end(): void {
    const restBytes = this.#slab.length - this.#used;
    // What the slab held before this piece is kept as a view of it: then its rest is not free.
    if (restBytes > 0 && this.#from === 0) {
      const exact = Buffer.allocUnsafeSlow(this.#used);
      this.#slab.copy(exact, 0, 0, this.#used);
      this.#slab = exact;
      this.#taker.giveBack(restBytes);
    }
    this.#keepOpen();
  }

  #keepOpen(): void {
    if (this.#from === this.#used) return;
    const open = this.#slab.subarray(this.#from, this.#used);
    this.#from = this.#used;
    this.#taker.keep(open);
  }

  #newSlab(needBytes: number): boolean {
    const wantBytes = Math.min(this.#sizeBytes + needBytes, MAX_SLAB_BYTES);
    const isRoomy = this.#taker.take(wantBytes);
    if (!isRoomy && !this.#taker.take(needBytes)) return false;
    const slabBytes = isRoomy ? wantBytes : needBytes;
    this.#slab = Buffer.allocUnsafeSlow(slabBytes);
    this.#from = 0;
    this.#used = 0;
    return true;
  }
}

const EMPTY = Buffer.alloc(0);
