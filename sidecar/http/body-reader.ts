// From a request's stream to its messages, in every format of XFER/1, without holding the body: content goes into
// writers of its own, within the memory budget, as it comes. Only a JSON body is collected, since its content ends
// nowhere before it does. The fields are read by shared/xfer, as the receiver reads them. Rejects when the stream
// breaks off; then nothing is held any more.

import { JoinedPieces } from '../../shared/message/joined-pieces.ts';
import {
  addNewlines,
  convertNewlines,
  countNewlines,
  NO_NEWLINES,
  newlineKind,
} from '../../shared/message/newlines.ts';
import {
  formatOf,
  parseTransferBody,
  type RequestHeaders,
  readRfc822Envelope,
  type TransferContext,
  type TransferFormat,
} from '../../shared/xfer/body.ts';
import { FrameParser, type FramesResult } from '../../shared/xfer/frame-parser.ts';
import { type HeaderContext, readHeader } from '../../shared/xfer/header.ts';
import { readKumoLine } from '../../shared/xfer/kumo.ts';
import { MAX_HEADER_LINE_BYTES, MAX_JSON_BODY_BYTES } from '../../shared/xfer/limits.ts';
import type { XferMessage } from '../../shared/xfer/message.ts';
import { type Problem, problem } from '../../shared/xfer/problem.ts';
import { type Content, ContentFailedError, type ContentFailure, ContentWriter } from '../intake/content.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import { pour } from './body-stream.ts';

export interface BodyRequest {
  readonly endpoint: 'xfer' | 'kumomta';
  readonly headers: RequestHeaders;
  readonly body: AsyncIterable<Buffer>;
}

export interface BodyContext extends TransferContext {
  readonly memory: MemoryBudget;
}

export type BodyResult =
  | {
      readonly ok: true;
      readonly format: TransferFormat;
      readonly messages: readonly XferMessage<Content>[];
      /** Gives the content back; called once every message has its verdict. */
      release(): void;
    }
  /** Nothing is held any more. With `failure` the content could not be kept here. */
  | { readonly ok: false; readonly problem: Problem; readonly failure?: ContentFailure['kind'] };

export async function readBody(request: BodyRequest, context: BodyContext): Promise<BodyResult> {
  const { endpoint, headers } = request;
  const format = endpoint === 'kumomta' ? 'kumomta' : formatOf(headers['content-type']);
  if (typeof format !== 'string') return { ok: false, problem: format };
  const capBytes = format === 'json' ? MAX_JSON_BODY_BYTES : context.limits.maxInflatedBytes;
  const held = new Held(context.memory);
  const sink = sinkFor(format, headers, context, held);
  if ('code' in sink) return { ok: false, problem: sink };
  let ended = false;
  try {
    let empty = true;
    const fault = await pour(request, capBytes, async (piece) => {
      empty &&= piece.length === 0;
      const unfit = sink.push(piece);
      await held.drained();
      return held.failure === undefined ? unfit : problemOf(held.failure);
    });
    const result = fault ?? (empty ? EMPTY : await sink.end());
    if (held.failure !== undefined) return failed(held.failure);
    if ('code' in result) return { ok: false, problem: result };
    ended = true;
    return { ok: true, format, messages: result, release: () => held.release() };
  } catch (error) {
    if (!(error instanceof ContentFailedError)) throw error;
    return failed(error.failure);
  } finally {
    if (!ended) held.release();
  }
}

const EMPTY = problem('empty-body', 'the request carries no message');

function failed(failure: ContentFailure): BodyResult {
  return { ok: false, problem: problemOf(failure), failure: failure.kind };
}

function problemOf(failure: ContentFailure): Problem {
  switch (failure.kind) {
    case 'memory':
      return problem('too-busy', 'as much mail is under way as fits into memory');
    case 'scratch':
      return problem('too-busy', 'as much large mail is under way as fits into temporary files');
    case 'disk':
      return problem('unavailable', `large content could not be kept: ${failure.reason}`);
  }
}

/** Every writer of one request. */
class Held {
  readonly memory: MemoryBudget;
  readonly #writers: ContentWriter[] = [];
  #otherBytes = 0;
  #failed = false;

  constructor(memory: MemoryBudget) {
    this.memory = memory;
  }

  /** Why some of it could not be kept. */
  get failure(): ContentFailure | undefined {
    return this.#failed ? { kind: 'memory' } : this.#current?.failure;
  }

  /** Resolves when the disk has caught up. */
  async drained(): Promise<void> {
    await this.#current?.drained();
  }

  // One is written after the other, and the first that fails ends the request.
  get #current(): ContentWriter | undefined {
    return this.#writers.at(-1);
  }

  writer(): ContentWriter {
    const writer = new ContentWriter(this.memory);
    this.#writers.push(writer);
    return writer;
  }

  /** Octets that no writer holds, into `pieces`. Where they do not fit, the request has failed. */
  collector(pieces: Buffer[]): { push(piece: Buffer): void; end(): void } {
    const joined = new JoinedPieces({
      take: (sizeBytes) => {
        const fits = this.memory.take(sizeBytes);
        if (fits) this.#otherBytes += sizeBytes;
        return fits;
      },
      giveBack: (sizeBytes) => {
        this.#otherBytes -= sizeBytes;
        this.memory.release(sizeBytes);
      },
      keep: (piece) => void pieces.push(piece),
    });
    return {
      push: (piece) => {
        this.#failed ||= !joined.push(piece);
      },
      end: () => joined.end(),
    };
  }

  release(): void {
    for (const writer of this.#writers) writer.release();
    this.memory.release(this.#otherBytes);
    this.#otherBytes = 0;
  }
}

/** Takes an inflated body piece by piece; what it holds stands in `Held`. */
interface Sink {
  /** A fault of the whole request, when it is known already. */
  push(piece: Buffer): Problem | undefined;
  end(): Promise<readonly XferMessage<Content>[] | Problem>;
}

function sinkFor(
  format: TransferFormat,
  headers: RequestHeaders,
  context: BodyContext,
  held: Held,
): Sink | Problem {
  switch (format) {
    case 'frames':
      return framesSink(context, held);
    case 'json':
      return jsonSink(headers, context, held);
    case 'rfc822':
      return rfc822Sink(headers, context, held);
    case 'kumomta':
      return kumoSink(context, held);
  }
}

function framesSink({ limits, nowMs }: BodyContext, held: Held): Sink {
  const parser = new FrameParser(limits, nowMs, () => {
    const writer = held.writer();
    return { push: (piece) => writer.write(piece), end: () => writer };
  });
  return {
    push(piece) {
      const result = parser.push(piece) ? undefined : parser.end();
      return result === undefined || result.ok ? undefined : result.problem;
    },
    async end() {
      const result: FramesResult<ContentWriter> = parser.end();
      if (!result.ok) return result.problem;
      return Promise.all(
        result.messages.map(
          async (message): Promise<XferMessage<Content>> =>
            message.kind === 'message' ? { ...message, content: await message.content.finish() } : message,
        ),
      );
    },
  };
}

function jsonSink(headers: RequestHeaders, context: BodyContext, held: Held): Sink {
  const pieces: Buffer[] = [];
  const collector = held.collector(pieces);
  return {
    push(piece) {
      collector.push(piece);
      return undefined;
    },
    async end() {
      collector.end();
      const body = Buffer.concat(pieces);
      const plain = { ...headers, 'content-encoding': undefined };
      const parsed = parseTransferBody({ endpoint: 'xfer', headers: plain, body }, context);
      if (!parsed.ok) return parsed.problem;
      const [message] = parsed.messages;
      if (message === undefined) throw new Error('a JSON body holds one message');
      if (message.kind !== 'message') return [message];
      const writer = held.writer();
      writer.write(message.content);
      return [{ ...message, content: await writer.finish() }];
    },
  };
}

function rfc822Sink(headers: RequestHeaders, context: BodyContext, held: Held): Sink | Problem {
  const envelope = readRfc822Envelope(headers, context.makeId);
  if (!envelope.ok) return envelope.problem;
  const writer = held.writer();
  let newlines = NO_NEWLINES;
  let last = -1;
  return {
    push(piece) {
      newlines = addNewlines(newlines, countNewlines(piece, last === CR));
      last = piece.at(-1) ?? last;
      writer.write(piece);
      return undefined;
    },
    async end() {
      let content = await writer.finish();
      if (newlineKind(newlines) === 'lf') {
        const converted = held.writer();
        for await (const piece of content.read()) {
          if (!converted.write(convertNewlines(piece))) await converted.drained();
        }
        content = await converted.finish();
        writer.release();
      }
      const boundary = { id: envelope.id, sizeBytes: content.sizeBytes, upload: false };
      const header = readHeader(envelope.fields, boundary, headerContext(context));
      return [
        header.ok
          ? { kind: 'message', header: header.header, content }
          : { kind: 'refused', id: envelope.id, reply: header.reply },
      ];
    },
  };
}

function kumoSink(context: BodyContext, held: Held): Sink {
  const line: Buffer[] = [];
  const collector = held.collector(line);
  let lineBytes = 0;
  let sizeBytes = 0;
  let writer: ContentWriter | undefined;
  return {
    push(piece) {
      if (writer !== undefined) {
        sizeBytes += piece.length;
        writer.write(piece);
        return undefined;
      }
      const lf = piece.indexOf(LF);
      const end = lf < 0 ? piece.length : lf;
      lineBytes += end;
      if (lineBytes <= MAX_HEADER_LINE_BYTES) collector.push(piece.subarray(0, end));
      if (lf < 0) return undefined;
      writer = held.writer();
      sizeBytes = piece.length - lf - 1;
      if (sizeBytes > 0) writer.write(piece.subarray(lf + 1));
      return undefined;
    },
    async end() {
      if (lineBytes > MAX_HEADER_LINE_BYTES) {
        const detail = `the first line has ${lineBytes} octets, at most ${MAX_HEADER_LINE_BYTES} are read`;
        return problem('header-line-too-long', detail);
      }
      if (writer === undefined)
        return problem('frame-truncated', 'no LF; the body begins with one line of JSON');
      collector.end();
      const read = readKumoLine(Buffer.concat(line), sizeBytes, headerContext(context));
      if (!read.ok) return read.problem;
      const { id, result } = read;
      if (!result.ok) return [{ kind: 'refused', id, reply: result.reply }];
      return [{ kind: 'message', header: result.header, content: await writer.finish() }];
    },
  };
}

function headerContext({ nowMs, limits }: BodyContext): HeaderContext {
  return { nowMs, maxMessageBytes: limits.maxMessageBytes };
}

const CR = 0x0d;
const LF = 0x0a;
