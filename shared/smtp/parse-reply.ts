// Reads a reply as it came off the wire (RFC 5321 §4.2) into code, enhanced status (RFC 2034) and text.
// What was said is kept verbatim, also when code and enhanced status disagree; the code decides later.
// Never throws: what is no reply at all becomes a transient reply of ours that quotes it, since nobody may
// bounce mail on words that were not understood.

import { clipText, ownReply, type Reply } from './reply.ts';

/** One reply: its lines, or its text with lines ended by LF or CRLF. The last line may lack its end. */
export function parseReply(reply: string | readonly string[]): Reply {
  return readReply(reply) ?? unintelligible(linesOf(reply));
}

/** A reply of ours that quotes what was no reply. */
export function unintelligible(lines: readonly string[]): Reply {
  return ownReply(451, '4.5.0', `unintelligible reply: ${lines.join('\n')}`);
}

/** The same, undefined for what is no reply: no code of 200 to 599, or lines whose codes differ. */
export function readReply(reply: string | readonly string[]): Reply | undefined {
  const parsed = linesOf(reply).map((line) => REPLY_LINE.exec(line)?.groups);
  const code = parsed[0]?.['code'];
  if (code === undefined || parsed.some((groups) => groups?.['code'] !== code)) return undefined;

  const texts = parsed.map((groups) => groups?.['text'] ?? '');
  const enhanced = statusOf(texts[0] ?? '');
  if (enhanced === undefined) return { code: Number(code), text: clipText(texts.join('\n')) };
  // Every line of a reply repeats the status (RFC 2034 §4); one that does not keeps its text whole.
  const bare = texts.map((text) => (statusOf(text) === enhanced ? text.slice(enhanced.length + 1) : text));
  return { code: Number(code), enhanced, text: clipText(bare.join('\n')) };
}

const REPLY_LINE = /^(?<code>[2-5]\d\d)(?:[ -](?<text>.*))?$/su;

function statusOf(text: string): string | undefined {
  return /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(text)?.[1];
}

function linesOf(reply: string | readonly string[]): string[] {
  const lines = (typeof reply === 'string' ? reply.split('\n') : reply).map((line) =>
    line.replace(/\r$/, ''),
  );
  // Only a text has an end of its last line: an empty line among the lines of a reply is none of it.
  if (typeof reply === 'string' && lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}
