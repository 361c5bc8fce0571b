// One pass over a message's content for everything that acceptance asks of it: hash, size, line ends, 8-bit
// octets, hops and our own trace. Fed by chunks of any size, so that an upload can be read as a stream; a 10 KB
// message costs some twenty microseconds, most of it SHA-256 and line ends. It judges nothing: that is
// `judgeContent`. Content is never decoded; of the header, only `Received:` fields are read as text, the first
// 4 KiB of each. Nothing here throws.

import { isAscii } from 'node:buffer';
import { createHash } from 'node:crypto';
import { addNewlines, countNewlines, type NewlineKind, NO_NEWLINES, newlineKind } from './newlines.ts';
import { isOwnTrace } from './trace.ts';

export interface ContentScan {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly newlines: NewlineKind;
  /** An octet over 127 occurs: the content needs 8BITMIME (RFC 6152). */
  readonly has8bit: boolean;
  /** `Received:` fields before the first empty line, ours included (RFC 5321 §6.3). */
  readonly receivedFields: number;
  /** One of those fields is a trace made by the same trace host. */
  readonly ownTrace: boolean;
  /** False for content whose last line has no end, which SMTP will give it. */
  readonly endsWithCrlf: boolean;
}

/** The whole content at once. */
export function scanContent(content: Buffer, traceHost: string): ContentScan {
  const scanner = new ContentScanner(traceHost);
  scanner.push(content);
  return scanner.finish();
}

/** Lives for one message: `push` its chunks in order, then `finish` once. */
export class ContentScanner {
  readonly #hash = createHash('sha256');
  readonly #header: HeaderScanner;
  #sizeBytes = 0;
  #newlines = NO_NEWLINES;
  #has8bit = false;
  #last = -1;
  #lastButOne = -1;

  constructor(traceHost: string) {
    this.#header = new HeaderScanner(traceHost);
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#hash.update(chunk);
    this.#newlines = addNewlines(this.#newlines, countNewlines(chunk, this.#last === CR));
    if (!this.#has8bit) this.#has8bit = !isAscii(chunk);
    this.#header.push(chunk);
    this.#sizeBytes += chunk.length;
    this.#lastButOne = chunk.length > 1 ? (chunk.at(-2) ?? -1) : this.#last;
    this.#last = chunk.at(-1) ?? -1;
  }

  finish(): ContentScan {
    this.#header.finish();
    return {
      sizeBytes: this.#sizeBytes,
      sha256: this.#hash.digest('hex'),
      newlines: newlineKind(this.#newlines),
      has8bit: this.#has8bit,
      receivedFields: this.#header.receivedFields,
      ownTrace: this.#header.ownTrace,
      endsWithCrlf: this.#lastButOne === CR && this.#last === LF,
    };
  }
}

const CR = 0x0d;
const LF = 0x0a;
/** Our own trace is far shorter; what is longer than this is counted but not read further. */
const MAX_FIELD_BYTES = 4096;
const RECEIVED = /^received[ \t]*:/i;

/** Reads lines until the first empty one; keeps the start of the current line and of the current trace field. */
class HeaderScanner {
  readonly #traceHost: string;
  /** The line so far, when a chunk ended inside it; cut to MAX_FIELD_BYTES. */
  #line = '';
  #lineBytes = 0;
  /** The `Received:` field being read, its lines put together; '' outside of one. */
  #field = '';
  #over = false;
  receivedFields = 0;
  ownTrace = false;

  constructor(traceHost: string) {
    this.#traceHost = traceHost;
  }

  push(chunk: Buffer): void {
    let from = 0;
    while (!this.#over && from < chunk.length) {
      const lf = chunk.indexOf(LF, from);
      const end = lf < 0 ? chunk.length : lf + 1;
      this.#keep(chunk, from, end);
      if (lf >= 0) this.#endLine();
      from = end;
    }
  }

  finish(): void {
    if (!this.#over && this.#lineBytes > 0) this.#endLine();
    this.#endField();
  }

  /** Of a line that can be no trace, only its first octet is kept: it tells a continuation and an end. */
  #keep(chunk: Buffer, from: number, end: number): void {
    const room = MAX_FIELD_BYTES - this.#line.length;
    const first = this.#lineBytes === 0 ? (chunk[from] ?? 0) : this.#line.charCodeAt(0);
    this.#lineBytes += end - from;
    const matters = first === R || first === r || ((first === SPACE || first === TAB) && this.#field !== '');
    const wanted = matters ? room : Math.max(0, 3 - this.#line.length);
    if (wanted > 0) this.#line += chunk.toString('latin1', from, Math.min(end, from + wanted));
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    this.#lineBytes = 0;
    if (line === '\r\n' || line === '\n') {
      this.#over = true;
      this.#endField();
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (this.#field !== '' && this.#field.length < MAX_FIELD_BYTES) this.#field += line;
    } else {
      this.#endField();
      if (RECEIVED.test(line)) {
        this.receivedFields += 1;
        this.#field = line;
      }
    }
  }

  #endField(): void {
    if (this.#field === '') return;
    const body = this.#field.slice(this.#field.indexOf(':') + 1);
    if (isOwnTrace(body, this.#traceHost)) this.ownTrace = true;
    this.#field = '';
  }
}

const R = 0x52;
const r = 0x72;
const SPACE = 0x20;
const TAB = 0x09;
