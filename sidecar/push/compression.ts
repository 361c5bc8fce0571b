// Whether the body of a transfer travels compressed. `gzip=0` and `gzip=1` of its route decide; without them it is
// compressed where that pays: not to this machine itself, not when it is small, and not when a sample of it does not
// shrink, which costs 0.04 ms. The rest runs in zlib's own threads (12 ms for 1 MB of text, 18 ms for base64), and the
// event loop waits for none of it. A route whose receiver refused the encoding gets plain bodies from then on.

import { promisify } from 'node:util';
import { deflateRawSync, gzip as gzipCallback } from 'node:zlib';
import ipaddr from 'ipaddr.js';
import type { XferRoute } from '../../shared/config/routes.ts';
import type { ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';

/** Below it a request fits into two packets anyhow. */
export const MIN_GZIP_BYTES = 2_048;

const SAMPLE_PIECES = 4;
const SAMPLE_PIECE_BYTES = 1_024;
/** Text falls to a third, base64 to 0.77; what is compressed already stays where it is. */
const WORTH_RATIO = 0.85;
/** On text level 6 takes twice the time of level 3 for a twentieth less. */
const LEVEL = 3;

const gzip = promisify(gzipCallback);

export interface EncodedBody {
  readonly pieces: readonly Buffer[];
  readonly gzipped: boolean;
}

export class Compression {
  readonly #plainOnly = new Set<XferRoute>();

  async encode(route: XferRoute, pieces: readonly Buffer[]): Promise<EncodedBody> {
    const plain = { pieces, gzipped: false };
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (sizeBytes === 0 || !this.#wanted(route, pieces, sizeBytes)) return plain;
    try {
      return { pieces: [await gzip(Buffer.concat(pieces, sizeBytes), { level: LEVEL })], gzipped: true };
    } catch {
      // zlib finds no memory: plain, the mail needs none.
      return plain;
    }
  }

  /** Whether the answer refuses gzip as such; from then on the route gets none. */
  refusedBy(route: XferRoute, answer: ReceivedAnswer): boolean {
    if (answer.status !== 415 && !answer.body.includes('"bad-gzip"')) return false;
    this.#plainOnly.add(route);
    return true;
  }

  #wanted(route: XferRoute, pieces: readonly Buffer[], sizeBytes: number): boolean {
    if (this.#plainOnly.has(route)) return false;
    if (route.gzip !== undefined) return route.gzip;
    return sizeBytes >= MIN_GZIP_BYTES && !isThisMachine(route.host) && shrinks(pieces, sizeBytes);
  }
}

function isThisMachine(host: string): boolean {
  if (/^localhost\.?$/i.test(host)) return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function shrinks(pieces: readonly Buffer[], sizeBytes: number): boolean {
  const sample = Buffer.concat(
    Array.from({ length: SAMPLE_PIECES }, (_, index) =>
      sliceAt(pieces, Math.floor((sizeBytes * (2 * index + 1)) / (2 * SAMPLE_PIECES))),
    ),
  );
  const packed = deflateRawSync(sample, { level: 1 });
  return packed.length <= sample.length * WORTH_RATIO;
}

// Of the piece that holds the offset, from there on.
function sliceAt(pieces: readonly Buffer[], offset: number): Buffer {
  let before = 0;
  for (const piece of pieces) {
    if (offset < before + piece.length) {
      return piece.subarray(offset - before, offset - before + SAMPLE_PIECE_BYTES);
    }
    before += piece.length;
  }
  return Buffer.alloc(0);
}
