// Quoted-printable and base64 (RFC 2045 §6.7, §6.8) for bodies that come line by line. What is made holds lines of at
// most 76 octets, ended by CRLF, and decodes to the very octets that came. Pure.

export interface BodyEncoder {
  /** A line of the body with its end, if it has one. */
  line(octets: Buffer): Buffer;
  /** The body is over. `isBeforeBoundary`: its last line's end belongs to the boundary. */
  end(isBeforeBoundary: boolean): Buffer;
}

const MAX_LINE_CHARACTERS = 76;

export function createQuotedPrintable(): BodyEncoder {
  return {
    line: quotedPrintableLine,
    end: () => Buffer.alloc(0),
  };
}

function quotedPrintableLine(octets: Buffer): Buffer {
  const hasCrLf = octets.at(-1) === 0x0a && octets.at(-2) === 0x0d;
  const text = hasCrLf ? octets.subarray(0, -2) : octets;
  const out: string[] = [];
  let column = 0;
  for (const [i, octet] of text.entries()) {
    const isLast = i === text.length - 1;
    const isBlank = octet === 0x20 || octet === 0x09;
    const isPlain = (octet >= 0x21 && octet <= 0x7e && octet !== 0x3d) || (isBlank && !isLast);
    const token = isPlain
      ? String.fromCharCode(octet)
      : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    // Room is kept for the `=` of a soft line break, where one may follow.
    const room = isLast && hasCrLf ? MAX_LINE_CHARACTERS : MAX_LINE_CHARACTERS - 1;
    if (column + token.length > room) {
      out.push('=\r\n');
      column = 0;
    }
    out.push(token);
    column += token.length;
  }
  // A line without CRLF that others may follow: a bare LF, which stands encoded.
  if (hasCrLf) out.push('\r\n');
  else if (octets.at(-1) === 0x0a) out.push('=\r\n');
  return Buffer.from(out.join(''), 'latin1');
}

/** Octets of one line of base64. */
const LINE_OCTETS = 57;

export function createBase64(): BodyEncoder {
  let held = Buffer.alloc(0);

  function linesOf(octets: Buffer): Buffer {
    const lines: string[] = [];
    for (let from = 0; from < octets.length; from += LINE_OCTETS) {
      lines.push(`${octets.toString('base64', from, Math.min(from + LINE_OCTETS, octets.length))}\r\n`);
    }
    return Buffer.from(lines.join(''), 'latin1');
  }

  return {
    line(octets) {
      held = Buffer.concat([held, octets]);
      // The last line's end may turn out to be the boundary's.
      const whole = Math.floor(Math.max(held.length - 2, 0) / LINE_OCTETS) * LINE_OCTETS;
      const made = linesOf(held.subarray(0, whole));
      held = held.subarray(whole);
      return made;
    },
    end(isBeforeBoundary) {
      const bare = held.at(-1) !== 0x0a ? 0 : held.at(-2) === 0x0d ? 2 : 1;
      return linesOf(isBeforeBoundary ? held.subarray(0, held.length - bare) : held);
    },
  };
}
