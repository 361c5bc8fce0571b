// Takes the content of a message off the wire (RFC 5321 §4.5.2): the dot that stuffs a line is removed, and the
// line that holds one dot ends the content. Lines end in CRLF alone, so a bare LF followed by a dot neither ends
// the content nor loses its dot: octets pass as they came, however the stream is cut into pieces.

/** What a push gave: pieces of content (views on the input, not copies), and what followed the final dot. */
export interface ContentPush {
  readonly pieces: readonly Buffer[];
  /** Undefined until the final dot has come. */
  readonly rest: Buffer | undefined;
}

/** What the octets before mean for the next one. Only a dot that begins a line, and a CR behind it, are held back. */
type State = 'in-line' | 'after-cr' | 'line-start' | 'after-dot' | 'after-dot-cr';

export class ContentReader {
  // The content begins at a line's start: the CRLF before it belongs to the DATA command.
  #state: State = 'line-start';

  push(chunk: Buffer): ContentPush {
    const pieces: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case 'in-line': {
          const dot = chunk.indexOf(CRLF_DOT, at);
          if (dot < 0) {
            this.#state = stateAtEnd(chunk, at);
            at = chunk.length;
            break;
          }
          pieces.push(chunk.subarray(from, dot + 2));
          at = dot + 3;
          from = at;
          this.#state = 'after-dot';
          break;
        }
        case 'after-cr':
          this.#state = chunk[at] === LF ? 'line-start' : 'in-line';
          if (chunk[at] === LF) at += 1;
          break;
        case 'line-start':
          if (chunk[at] === DOT) {
            if (at > from) pieces.push(chunk.subarray(from, at));
            at += 1;
            from = at;
            this.#state = 'after-dot';
          } else {
            this.#state = 'in-line';
          }
          break;
        case 'after-dot':
          this.#state = chunk[at] === CR ? 'after-dot-cr' : 'in-line';
          if (chunk[at] === CR) at += 1;
          break;
        case 'after-dot-cr':
          if (chunk[at] === LF) return { pieces, rest: chunk.subarray(at + 1) };
          // The dot was stuffing, and the CR behind it is content.
          pieces.push(LONE_CR);
          from = at;
          this.#state = 'in-line';
          if (chunk[at] === CR) {
            this.#state = 'after-cr';
            at += 1;
          }
          break;
      }
    }
    const held = this.#state === 'after-dot-cr' ? 1 : 0;
    if (chunk.length - held > from) pieces.push(chunk.subarray(from, chunk.length - held));
    return { pieces, rest: undefined };
  }
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const CRLF_DOT = Buffer.from('\r\n.');
const LONE_CR = Buffer.from('\r');

// Within a line from `from` on, without CRLF and a dot in it.
function stateAtEnd(chunk: Buffer, from: number): State {
  const last = chunk.length - 1;
  if (chunk[last] === CR) return 'after-cr';
  return last > from && chunk[last] === LF && chunk[last - 1] === CR ? 'line-start' : 'in-line';
}
