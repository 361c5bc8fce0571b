// Cuts what a peer says into replies (RFC 5321 §4.2), from any split into packets: multi-line replies, lines ended
// by LF alone, lines of any length, any octets. Pure; memory stays bounded whatever comes. A reply ends at the
// first line that does not announce another, so that words which are no reply are told at once and never waited
// out. Limits: of a line 8 KiB are kept, of a reply 64 KiB; a reply beyond 1 MiB counts as unintelligible.

import { readReply, unintelligible } from './parse-reply.ts';
import type { Reply } from './reply.ts';

export interface WireReply {
  readonly reply: Reply;
  /** False when the peer's words were no reply, and `reply` is ours. */
  readonly intelligible: boolean;
  /** As they came, without their ends. */
  readonly lines: readonly string[];
}

export interface ReplyReader {
  /** Calls `took` for each reply that these octets complete. */
  push(octets: Buffer, took: (said: WireReply) => void): void;
  /** Whether a part of a reply is held. */
  readonly isMidway: boolean;
  /**
   * The connection is closed. An unfinished last line counts only when it begins with 4xx and a blank: the
   * peer's reason for leaving. Never 2xx or 5xx, since half a word neither delivers nor bounces mail.
   */
  end(): WireReply | undefined;
}

const MAX_LINE_BYTES = 8_192;
const MAX_KEPT_BYTES = 65_536;
const MAX_REPLY_BYTES = 1_048_576;
const LF = 0x0a;

export function createReplyReader(): ReplyReader {
  /** The line that has no end yet. */
  let partial: Buffer | undefined;
  /** The finished lines of the reply that has no end yet. */
  let lines: string[] = [];
  let replyBytes = 0;

  function line(octets: Buffer): WireReply | undefined {
    replyBytes += octets.length;
    const text = octets.toString('utf8', 0, Math.min(octets.length, MAX_LINE_BYTES)).replace(/\r$/, '');
    const continues = CONTINUED.test(text);
    if (replyBytes <= MAX_KEPT_BYTES || lines.length === 0 || !continues) lines.push(text);
    if (continues && replyBytes <= MAX_REPLY_BYTES) return undefined;
    const said = lines;
    const isTooLong = replyBytes > MAX_REPLY_BYTES;
    lines = [];
    replyBytes = 0;
    return told(said, isTooLong);
  }

  return {
    get isMidway() {
      return partial !== undefined || lines.length > 0;
    },
    push(octets, took) {
      let from = 0;
      for (let at = octets.indexOf(LF); at !== -1; at = octets.indexOf(LF, from)) {
        const whole =
          partial === undefined ? octets.subarray(from, at) : joined(partial, octets.subarray(from, at));
        partial = undefined;
        from = at + 1;
        const said = line(whole);
        if (said !== undefined) took(said);
      }
      if (from === octets.length) return;
      const rest = octets.subarray(from);
      partial = partial === undefined ? Buffer.from(rest.subarray(0, MAX_LINE_BYTES)) : joined(partial, rest);
      // A line without an end must not wait for ever either.
      replyBytes += Math.max(rest.length - MAX_LINE_BYTES, 0);
    },
    end() {
      const text = partial?.toString('utf8').replace(/\r$/, '') ?? '';
      partial = undefined;
      return /^4\d\d /.test(text) && lines.length === 0 ? told([text], false) : undefined;
    },
  };
}

/** A line that announces another. */
const CONTINUED = /^[2-5]\d\d-/;

function told(lines: readonly string[], isTooLong: boolean): WireReply {
  const reply = isTooLong ? undefined : readReply(lines);
  return reply === undefined
    ? { reply: unintelligible(lines), intelligible: false, lines }
    : { reply, intelligible: true, lines };
}

/** Only as much as a line keeps. */
function joined(head: Buffer, tail: Buffer): Buffer {
  const room = MAX_LINE_BYTES - head.length;
  return room <= 0 ? head : Buffer.concat([head, tail.subarray(0, room)]);
}
