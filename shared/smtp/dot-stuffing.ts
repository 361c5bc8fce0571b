// Dot-stuffing (RFC 5321 §4.5.2): a dot that begins a line is doubled, and a line holding one dot ends the
// content. No other octet is added, dropped or changed, however the content is cut into pieces; only
// content that does not end with CRLF gets one, since the final dot needs a line of its own.
//
// A line begins after every LF, not after CRLF alone: content with a bare LF is refused long before it comes
// here, and if it came all the same, no peer that ends lines at LF would see an end of content in the middle
// of it (SMTP smuggling).

export interface DotStuffer {
  /** The piece as it goes on the wire: the very same buffer when no line in it begins with a dot. */
  push(piece: Uint8Array): Uint8Array;
  /** What ends the content: `.` CRLF, after the missing part of a last CRLF. */
  end(): Uint8Array;
}

export function createDotStuffer(): DotStuffer {
  /** The last two octets that were pushed; content begins at the start of a line. */
  let beforeLast = CR;
  let last = LF;

  return {
    push(piece) {
      const stuffed = stuff(piece, last === LF);
      if (piece.length > 1) beforeLast = piece.at(-2) ?? 0;
      else if (piece.length === 1) beforeLast = last;
      last = piece.at(-1) ?? last;
      return stuffed;
    },
    end() {
      if (last === LF && beforeLast === CR) return FINAL_DOT;
      return last === CR ? LF_FINAL_DOT : CRLF_FINAL_DOT;
    },
  };
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const FINAL_DOT = Buffer.from('.\r\n');
const LF_FINAL_DOT = Buffer.from('\n.\r\n');
const CRLF_FINAL_DOT = Buffer.from('\r\n.\r\n');
const ONE_DOT = Buffer.from('.');
const LF_DOT = Buffer.from('\n.');

function stuff(piece: Uint8Array, atLineStart: boolean): Uint8Array {
  const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  const parts: Uint8Array[] = [];
  let copiedTo = 0;
  if (atLineStart && bytes[0] === DOT) parts.push(ONE_DOT);
  for (let at = bytes.indexOf(LF_DOT); at !== -1; at = bytes.indexOf(LF_DOT, at + 2)) {
    parts.push(bytes.subarray(copiedTo, at + 2), ONE_DOT);
    copiedTo = at + 2;
  }
  if (parts.length === 0) return piece;
  parts.push(bytes.subarray(copiedTo));
  return Buffer.concat(parts);
}
