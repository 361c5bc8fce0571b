// Takes the content of a message off the wire (RFC 5321 §4.5.2): the dot that stuffs a line is removed, and the
// line that holds one dot ends the content. Lines end in CRLF alone, so a bare LF followed by a dot neither ends
// the content nor loses its dot: octets pass as they came, however the stream is cut into pieces.

/** What a push gave: pieces of content (views on the input, not copies), and what followed the final dot. */
export interface ContentPush {
  readonly pieces: readonly Buffer[];
  /** Undefined until the final dot has come. */
  readonly rest: Buffer | undefined;
}

export class ContentReader {
  // Octets that may begin a line with a dot, held back until it is known. The content begins at a line's start,
  // as if a CRLF had come before, which belongs to the DATA command and not to the content.
  #held: Buffer = CRLF;
  #skipBytes = CRLF.length;

  push(chunk: Buffer): ContentPush {
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const pieces: Buffer[] = [];
    let from = 0;
    for (;;) {
      const at = data.indexOf(CRLF_DOT, from);
      if (at < 0) {
        const heldFrom = data.length - heldBytes(data, from);
        this.#take(data, from, heldFrom, pieces);
        return this.#hold(data, heldFrom, pieces);
      }
      const next = data[at + 3];
      if (next === undefined || (next === CR && data[at + 4] === undefined)) {
        this.#take(data, from, at, pieces);
        return this.#hold(data, at, pieces);
      }
      this.#take(data, from, at + 2, pieces);
      if (next === CR && data[at + 4] === LF) return { pieces, rest: data.subarray(at + 5) };
      from = at + 3;
    }
  }

  #hold(data: Buffer, from: number, pieces: readonly Buffer[]): ContentPush {
    this.#held = Buffer.from(data.subarray(from));
    return { pieces, rest: undefined };
  }

  #take(data: Buffer, from: number, to: number, pieces: Buffer[]): void {
    const start = Math.min(from + this.#skipBytes, to);
    this.#skipBytes -= start - from;
    if (to > start) pieces.push(data.subarray(start, to));
  }
}

const CR = 0x0d;
const LF = 0x0a;
const CRLF = Buffer.from('\r\n');
const CRLF_DOT = Buffer.from('\r\n.');

// How many octets at the end may be the beginning of CRLF and a dot.
function heldBytes(data: Buffer, from: number): number {
  const last = data.length - 1;
  if (last < from) return 0;
  if (data[last] === CR) return 1;
  return last > from && data[last] === LF && data[last - 1] === CR ? 2 : 0;
}
