// Content for a peer without 8BITMIME. Most of what is announced as 8-bit holds no such octet, and goes as it is. The
// rest is refused, or, where the operator chose `convert`, made 7-bit as RFC 6152 §3 allows: parts that hold 8-bit
// octets become quoted-printable (text) or base64, and their headers say so.
//
// Conversion breaks DKIM signatures over the body: the message may be refused, or put among the spam, further on.
// What cannot be converted rightly is not: 8-bit octets in a header, a preamble or a body that is encoded already,
// and parts that are signed or encrypted (RFC 1847).
//
// The content is read once to look at it, once more to count what it becomes, and again to send it.

import type { SmtpContent } from './client.ts';
import { type BodyEncoder, createBase64, createQuotedPrintable } from './mime-encode.ts';
import { createMimeWalk, type Entity, fieldOf, IDENTITIES, isField, MimeError } from './mime-walk.ts';

export type SevenBit =
  | { readonly kind: 'fits'; readonly content: SmtpContent }
  | { readonly kind: 'unfit'; readonly because: string };

/** Rejects when the content cannot be read. */
export async function toSevenBits(content: SmtpContent, mode: 'refuse' | 'convert'): Promise<SevenBit> {
  if (!(await holds8Bit(content))) return { kind: 'fits', content };
  if (mode === 'refuse') return { kind: 'unfit', because: 'it holds 8-bit octets' };
  try {
    const codings = await survey(content);
    let sizeBytes = 0;
    for await (const piece of converted(content, codings)) sizeBytes += piece.length;
    return { kind: 'fits', content: { sizeBytes, open: async () => converted(content, codings) } };
  } catch (error) {
    if (error instanceof MimeError) return { kind: 'unfit', because: error.message };
    throw error;
  }
}

async function holds8Bit(content: SmtpContent): Promise<boolean> {
  for await (const piece of await content.open()) if (is8Bit(piece)) return true;
  return false;
}

function is8Bit(octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) if ((octets[i] ?? 0) > 0x7f) return true;
  return false;
}

type Coding = 'quoted-printable' | 'base64' | '7bit';

/** What is to be changed, by entity. */
async function survey(content: SmtpContent): Promise<ReadonlyMap<number, Coding>> {
  const codings = new Map<number, Coding>();
  const walk = createMimeWalk({
    header(entity) {
      if (entity.header.some(is8Bit)) throw new MimeError('a header holds 8-bit octets');
      // Its header is signed as well; what is 7-bit may be called 8-bit.
      if (isSigned(entity)) return;
      if (entity.encoding === '8bit' || (entity.kind === 'container' && entity.encoding === 'binary')) {
        codings.set(entity.ordinal, '7bit');
      }
    },
    body(leaf, line) {
      if (is8Bit(line)) codings.set(leaf.ordinal, codingOf(leaf));
    },
    between(line) {
      if (is8Bit(line)) throw new MimeError('there are 8-bit octets between its parts');
    },
    leafEnded() {},
  });
  for await (const piece of await content.open()) walk.push(piece);
  walk.end();
  return codings;
}

function isSigned({ parents }: Entity): boolean {
  return parents.some(({ type }) => type === 'multipart/signed' || type === 'multipart/encrypted');
}

function codingOf(entity: Entity): Coding {
  const { type, encoding } = entity;
  if (!IDENTITIES.has(encoding)) throw new MimeError(`a part in ${encoding} holds 8-bit octets`);
  if (isSigned(entity)) throw new MimeError('a signed part holds 8-bit octets');
  // Of the messages within messages that are no containers, only this one may be encoded (RFC 6532 §3.7).
  if (type.startsWith('multipart/') || (type.startsWith('message/') && type !== 'message/global')) {
    throw new MimeError(`a part of type ${type} holds 8-bit octets`);
  }
  return type.startsWith('text/') && encoding !== 'binary' ? 'quoted-printable' : 'base64';
}

async function* converted(
  content: SmtpContent,
  codings: ReadonlyMap<number, Coding>,
): AsyncGenerator<Uint8Array> {
  let made: Buffer[] = [];
  let encoder: BodyEncoder | undefined;
  const walk = createMimeWalk({
    header(entity, blank) {
      const coding = codings.get(entity.ordinal);
      encoder = coding === undefined ? undefined : encoderOf(coding);
      made.push(...(coding === undefined ? entity.header : headerFor(entity, coding)));
      if (blank !== undefined) made.push(blank);
    },
    body: (_leaf, line) => void made.push(encoder?.line(line) ?? line),
    between: (line) => void made.push(line),
    leafEnded(_leaf, isBeforeBoundary) {
      if (encoder !== undefined) made.push(encoder.end(isBeforeBoundary));
      encoder = undefined;
    },
  });
  for await (const piece of await content.open()) {
    walk.push(piece);
    if (made.length > 0) yield Buffer.concat(made);
    made = [];
  }
  walk.end();
  if (made.length > 0) yield Buffer.concat(made);
}

function encoderOf(coding: Coding): BodyEncoder | undefined {
  switch (coding) {
    case 'quoted-printable':
      return createQuotedPrintable();
    case 'base64':
      return createBase64();
    case '7bit':
      return undefined;
  }
}

/** The header with the encoding that the body now has; a message from before MIME gets its fields (RFC 1428). */
function headerFor(entity: Entity, coding: Coding): readonly Buffer[] {
  const kept: Buffer[] = [];
  let isDropped = false;
  for (const line of entity.header) {
    if (line[0] !== 0x20 && line[0] !== 0x09) isDropped = isField(line, 'content-transfer-encoding');
    if (!isDropped) kept.push(line);
  }
  const fields: string[] = [];
  if (entity.ordinal === 0 && fieldOf(entity.header, 'mime-version') === undefined) {
    fields.push('MIME-Version: 1.0');
  }
  if (!entity.hasType && coding !== '7bit') fields.push('Content-Type: text/plain; charset=unknown-8bit');
  fields.push(`Content-Transfer-Encoding: ${coding}`);
  return [...kept, ...fields.map((field) => Buffer.from(`${field}\r\n`))];
}
