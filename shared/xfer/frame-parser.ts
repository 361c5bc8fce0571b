// The stream parser of `application/vnd.delay-xfer.v1`: frames, each one line of JSON, LF, and exactly `sizeBytes`
// octets of content (none with `upload`). Chunks may be cut anywhere; the result is the same for every cut. A fault
// of the framing is a fault of the whole request, since nothing after it can be trusted; a fault within a
// well-framed header refuses that message alone. Throws nothing. Where content is kept says `KeepContent`; in memory
// it is not copied where one chunk holds it whole, so a pushed chunk must not be written to afterwards. Hashes are
// compared later, with the content scan.

import { JoinedPieces } from '../message/joined-pieces.ts';
import { type Boundary, type HeaderContext, readBoundary, readHeader } from './header.ts';
import { parseJsonObject } from './json-object.ts';
import { MAX_HEADER_LINE_BYTES, type TransferLimits } from './limits.ts';
import type { XferHeader, XferMessage } from './message.ts';
import { type Problem, problem } from './problem.ts';

export type FramesResult<C = Buffer> =
  | { readonly ok: true; readonly messages: readonly XferMessage<C>[] }
  | { readonly ok: false; readonly problem: Problem };

/** Takes one message's content piece by piece. */
export interface ContentKeeper<C> {
  push(piece: Buffer): void;
  /** After the last piece. */
  end(): C;
}

/** Called once for each message whose header is fit, before its first piece. */
export type KeepContent<C> = (header: XferHeader) => ContentKeeper<C>;

export const keepInMemory: KeepContent<Buffer> = () => {
  const pieces: Buffer[] = [];
  return { push: (piece) => pieces.push(piece), end: () => joined(pieces) };
};

/** A whole body at once. */
export function parseFrames(body: Buffer, limits: TransferLimits, nowMs: number): FramesResult {
  const parser = new FrameParser(limits, nowMs, keepInMemory);
  parser.push(body);
  return parser.end();
}

/** Lives for one request: `push` its chunks in order, then `end` once. */
export class FrameParser<C> {
  readonly #limits: TransferLimits;
  readonly #context: HeaderContext;
  readonly #keep: KeepContent<C>;
  readonly #messages: XferMessage<C>[] = [];
  #problem: Problem | undefined;
  /** The line that is being read, where it came in pieces. */
  #line: LineInPieces | undefined;
  /** Octets of the line or the content that is being read, so far. */
  #held = 0;
  /** Set while content is read. */
  #open: OpenFrame<C> | undefined;

  constructor(limits: TransferLimits, nowMs: number, keep: KeepContent<C>) {
    this.#limits = limits;
    this.#context = { nowMs, maxMessageBytes: limits.maxMessageBytes };
    this.#keep = keep;
  }

  /** False once the request is known to be faulty: what follows need not be read. */
  push(chunk: Buffer): boolean {
    let from = 0;
    while (from < chunk.length && this.#problem === undefined) {
      from =
        this.#open === undefined ? this.#readLine(chunk, from) : this.#readContent(this.#open, chunk, from);
    }
    return this.#problem === undefined;
  }

  end(): FramesResult<C> {
    if (this.#problem === undefined) this.#problem = this.#faultAtEnd();
    if (this.#problem !== undefined) return { ok: false, problem: this.#problem };
    return { ok: true, messages: this.#messages };
  }

  get #where(): string {
    return `frame ${this.#messages.length + 1}`;
  }

  #readLine(chunk: Buffer, from: number): number {
    const lf = chunk.indexOf(LF, from);
    const end = lf < 0 ? chunk.length : lf;
    if (this.#held + (end - from) > MAX_HEADER_LINE_BYTES) {
      const detail = `${this.#where}: no LF within ${MAX_HEADER_LINE_BYTES} octets; a frame begins with one line of JSON`;
      this.#problem = problem('header-line-too-long', detail);
      return chunk.length;
    }
    const piece = chunk.subarray(from, end);
    this.#held += piece.length;
    if (lf < 0) {
      this.#line ??= lineInPieces();
      this.#line.push(piece);
      return chunk.length;
    }
    const line = this.#line?.end(piece) ?? piece;
    this.#line = undefined;
    this.#held = 0;
    this.#beginFrame(line);
    return lf + 1;
  }

  #beginFrame(line: Buffer): void {
    if (this.#messages.length >= this.#limits.maxFrames) {
      const detail = `at most ${this.#limits.maxFrames} messages are taken in one transfer`;
      this.#problem = problem('too-many-frames', detail);
      return;
    }
    const parsed = parseJsonObject(line);
    if (!parsed.ok) {
      this.#problem = problem('bad-frame', `${this.#where}: the line ${parsed.fault}`);
      return;
    }
    const read = readBoundary(parsed.object, this.#where);
    if (!read.ok) {
      this.#problem = read.problem;
      return;
    }
    const { boundary } = read;
    if (!boundary.upload && boundary.sizeBytes > this.#limits.maxInflatedBytes) {
      const detail = `${this.#where}: ${boundary.sizeBytes} octets, a request holds at most ${this.#limits.maxInflatedBytes}; upload it`;
      this.#problem = problem('frame-too-large', detail);
      return;
    }
    this.#openFrame(boundary, readHeader(parsed.object, boundary, this.#context));
  }

  #openFrame(boundary: Boundary, result: ReturnType<typeof readHeader>): void {
    if (!result.ok) {
      this.#messages.push({ kind: 'refused', id: boundary.id, reply: result.reply });
      if (!boundary.upload) this.#await({ sizeBytes: boundary.sizeBytes, kept: undefined });
    } else if (boundary.upload) {
      this.#messages.push({ kind: 'upload', header: result.header });
    } else {
      const { header } = result;
      this.#await({ sizeBytes: boundary.sizeBytes, kept: { header, content: this.#keep(header) } });
    }
  }

  #await(frame: OpenFrame<C>): void {
    if (frame.sizeBytes > 0) this.#open = frame;
    else this.#close(frame);
  }

  /** Octets of a refused frame are counted, not held. */
  #readContent(frame: OpenFrame<C>, chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + frame.sizeBytes - this.#held);
    this.#held += end - from;
    frame.kept?.content.push(chunk.subarray(from, end));
    if (this.#held === frame.sizeBytes) this.#close(frame);
    return end;
  }

  #close({ kept }: OpenFrame<C>): void {
    this.#open = undefined;
    this.#held = 0;
    if (kept === undefined) return;
    this.#messages.push({ kind: 'message', header: kept.header, content: kept.content.end() });
  }

  #faultAtEnd(): Problem | undefined {
    if (this.#open !== undefined) {
      const number = this.#messages.length + (this.#open.kept === undefined ? 0 : 1);
      const detail = `frame ${number}: ${this.#held} of ${this.#open.sizeBytes} octets of content came`;
      return problem('frame-truncated', detail);
    }
    if (this.#held > 0) {
      const detail = `${this.#where}: ${this.#held} octets without a line end; cut off, or sizeBytes before was wrong`;
      return problem('frame-truncated', detail);
    }
    return this.#messages.length === 0
      ? problem('empty-body', 'a transfer has at least one frame')
      : undefined;
  }
}

/** A frame whose content is being read; `kept` is undefined when the message was refused already. */
interface OpenFrame<C> {
  readonly sizeBytes: number;
  readonly kept: { readonly header: XferHeader; readonly content: ContentKeeper<C> } | undefined;
}

function joined(pieces: readonly Buffer[]): Buffer {
  const [first, ...more] = pieces;
  if (first === undefined) return Buffer.alloc(0);
  return more.length === 0 ? first : Buffer.concat([first, ...more]);
}

interface LineInPieces {
  push(piece: Buffer): void;
  end(last: Buffer): Buffer;
}

function lineInPieces(): LineInPieces {
  const pieces: Buffer[] = [];
  // A line is bounded, so that its memory is not counted.
  const line = new JoinedPieces({
    take: () => true,
    giveBack: () => undefined,
    keep: (piece) => void pieces.push(piece),
  });
  return {
    push: (piece) => void line.push(piece),
    end(last) {
      line.push(last);
      line.end();
      return Buffer.concat(pieces);
    },
  };
}

const LF = 0x0a;
