// The line ends of a message's content, which SMTP knows only as CRLF (RFC 5321 §2.3.8). A bare CR or LF that
// is passed on lets one peer see an end of content where another sees none (SMTP smuggling), so content is told
// apart by how its lines end. Long-lined content is searched by Buffer.indexOf; where lines are so short that a
// call per line would cost more than reading every octet, octets are read. Nothing here throws.

/** `none`: not one CR or LF. `lf`: LF alone, never CR. `mixed`: a bare CR, or bare LF beside CRLF. */
export type NewlineKind = 'none' | 'crlf' | 'lf' | 'mixed';

/** How many CR, LF and CRLF were seen; additive over chunks when `endsInCr` is handed on. */
export interface NewlineCount {
  readonly cr: number;
  readonly lf: number;
  /** LF that directly followed a CR. */
  readonly crlf: number;
}

export const NO_NEWLINES: NewlineCount = { cr: 0, lf: 0, crlf: 0 };

/** Counts one chunk; `afterCr` tells that the octet before the chunk was a CR. */
export function countNewlines(chunk: Buffer, afterCr: boolean): NewlineCount {
  if (chunk.length <= BLOCK_BYTES) return countBlock(chunk, afterCr);
  let sum = NO_NEWLINES;
  for (let from = 0; from < chunk.length; from += BLOCK_BYTES) {
    const blockAfterCr = from === 0 ? afterCr : chunk[from - 1] === CR;
    sum = addNewlines(sum, countBlock(chunk.subarray(from, from + BLOCK_BYTES), blockAfterCr));
  }
  return sum;
}

export function addNewlines(a: NewlineCount, b: NewlineCount): NewlineCount {
  return { cr: a.cr + b.cr, lf: a.lf + b.lf, crlf: a.crlf + b.crlf };
}

export function newlineKind(count: NewlineCount): NewlineKind {
  if (count.cr > count.crlf) return 'mixed';
  if (count.lf === 0) return 'none';
  if (count.lf === count.crlf) return 'crlf';
  return count.crlf === 0 ? 'lf' : 'mixed';
}

/** A copy in which every CRLF, bare LF and bare CR is one CRLF. Breaks signatures over the content. */
export function convertNewlines(content: Buffer): Buffer {
  const count = countNewlines(content, false);
  const bare = count.cr + count.lf - 2 * count.crlf;
  const out = Buffer.allocUnsafe(content.length + bare);
  let at = 0;
  let from = 0;
  for (let end = nextNewline(content, 0); end < content.length; end = nextNewline(content, from)) {
    at += content.copy(out, at, from, end);
    at += out.write('\r\n', at, 'latin1');
    from = content[end] === CR && content[end + 1] === LF ? end + 2 : end + 1;
  }
  content.copy(out, at, from);
  return out;
}

const CR = 0x0d;
const LF = 0x0a;
/** Lines are judged short, and octets read one by one instead, block by block. */
const BLOCK_BYTES = 65_536;
/** A search call costs about as much as reading this many octets. */
const SHORT_LINE_BYTES = 32;

function countBlock(block: Buffer, afterCr: boolean): NewlineCount {
  const mostSearches = Math.ceil(block.length / SHORT_LINE_BYTES);
  let lf = 0;
  let crlf = 0;
  for (let at = block.indexOf(LF); at >= 0; at = block.indexOf(LF, at + 1)) {
    lf += 1;
    if (at === 0 ? afterCr : block[at - 1] === CR) crlf += 1;
    if (lf > mostSearches) return countByOctet(block, afterCr);
  }
  let cr = 0;
  for (let at = block.indexOf(CR); at >= 0; at = block.indexOf(CR, at + 1)) {
    cr += 1;
    if (cr > mostSearches) return countByOctet(block, afterCr);
  }
  return { cr, lf, crlf };
}

function countByOctet(block: Buffer, afterCr: boolean): NewlineCount {
  let cr = 0;
  let lf = 0;
  let crlf = 0;
  let previousIsCr = afterCr;
  for (let i = 0; i < block.length; i += 1) {
    const octet = block[i];
    if (octet === LF) {
      lf += 1;
      if (previousIsCr) crlf += 1;
    }
    previousIsCr = octet === CR;
    if (previousIsCr) cr += 1;
  }
  return { cr, lf, crlf };
}

function nextNewline(content: Buffer, from: number): number {
  for (let i = from; i < content.length; i += 1) {
    const octet = content[i];
    if (octet === CR || octet === LF) return i;
  }
  return content.length;
}
