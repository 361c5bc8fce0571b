// What came from the socket and was not read yet: taken line by line, or all at once.

/** RFC 4954 §4 wants 12,288 octets for AUTH; every other command is shorter. */
export const MAX_LINE_BYTES = 12_288;

export class InputBuffer {
  #data: Buffer = EMPTY;
  #at = 0;

  get sizeBytes(): number {
    return this.#data.length - this.#at;
  }

  /** Whether the last that came is a line that says QUIT. */
  get endsInQuit(): boolean {
    return /(?:^|\n)quit\r?\n$/i.test(
      this.#data.toString('latin1', Math.max(this.#at, this.#data.length - 7)),
    );
  }

  push(chunk: Buffer): void {
    this.#data = this.sizeBytes === 0 ? chunk : Buffer.concat([this.#data.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** The next line without its CRLF or LF; undefined while it has not ended. */
  takeLine(): Buffer | 'too-long' | undefined {
    const end = this.#data.indexOf(LF, this.#at);
    if ((end < 0 ? this.#data.length : end) - this.#at > MAX_LINE_BYTES) return 'too-long';
    if (end < 0) return undefined;
    const line = this.#data.subarray(this.#at, end > this.#at && this.#data[end - 1] === CR ? end - 1 : end);
    this.#at = end + 1;
    return line;
  }

  takeAll(): Buffer {
    const all = this.#at === 0 ? this.#data : this.#data.subarray(this.#at);
    this.clear();
    return all;
  }

  clear(): void {
    this.#data = EMPTY;
    this.#at = 0;
  }
}

const EMPTY = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
