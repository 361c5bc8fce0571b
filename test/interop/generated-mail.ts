// Contents that a mail system may get wrong, drawn from a seed: dots at the start of lines, lines of any length,
// octets of no charset, NUL, sizes from nothing to 25 MB, and the corners of the format. All lines end in CRLF, but
// the last one may have no end; there is no other CR or LF, since those are never passed on.

/** In [0, 1). */
export type Random = () => number;

const FORMS = [
  'plain',
  'plain',
  'plain',
  'no final CRLF',
  'ends with a dot, no CRLF',
  'ends with lone dots',
  'dots only',
  'empty body',
  'header only',
  'no header',
  'empty line first',
  'nothing',
  'CR and LF around 64 KiB',
  'dots around 64 KiB',
] as const;

export type Form = (typeof FORMS)[number];

export interface GeneratedMail {
  readonly form: Form;
  readonly content: Buffer;
}

const CRLF = '\r\n';
const CHUNK_BYTES = 65_536;

/** `index` is of `count`: the large ones have their places, so that any count has some. */
export function generateMail(random: Random, index: number, count: number): GeneratedMail {
  const form = FORMS[index % FORMS.length] ?? 'plain';
  const text = textOf(form, random, sizeOf(random, index, count));
  return { form, content: Buffer.from(text, 'latin1') };
}

/** One of 25 MB, one of 4 to 8 MB in each hundred, one in ten of up to 1 MB, the rest small. */
function sizeOf(random: Random, index: number, count: number): number {
  if (index === Math.floor(count / 2)) return 25_000_000;
  if (index % 100 === 14) return 4_000_000 + Math.floor(random() * 4_000_000);
  if (index % 10 === 7) return Math.floor(random() * 1_000_000);
  return Math.floor(random() * random() * 20_000);
}

function textOf(form: Form, random: Random, sizeBytes: number): string {
  const header = headerOf(random);
  switch (form) {
    case 'plain':
      return header + CRLF + bodyOf(random, sizeBytes);
    case 'no final CRLF':
      return `${header}${CRLF}${bodyOf(random, sizeBytes)}the end`;
    case 'ends with a dot, no CRLF':
      return `${header}${CRLF}${bodyOf(random, sizeBytes)}.`;
    case 'ends with lone dots':
      return header + CRLF + bodyOf(random, sizeBytes) + `.${CRLF}`.repeat(1 + below(random, 4));
    case 'dots only':
      return header + CRLF + Array.from({ length: 300 }, () => '.'.repeat(below(random, 5)) + CRLF).join('');
    case 'empty body':
      return header + CRLF;
    case 'header only':
      return header;
    case 'no header':
      return `no header field is here${CRLF}${bodyOf(random, sizeBytes)}`;
    case 'empty line first':
      return CRLF + bodyOf(random, sizeBytes);
    case 'nothing':
      return '';
    case 'CR and LF around 64 KiB':
      return aroundChunk(header, random, `${CRLF}.${CRLF}..${CRLF}`);
    case 'dots around 64 KiB':
      return aroundChunk(header, random, `${CRLF}..${CRLF}...${CRLF}`);
  }
}

/** The piece begins a few octets before, or behind, the end of the first chunk that a reader is likely to get. */
function aroundChunk(header: string, random: Random, piece: string): string {
  const start = header + CRLF;
  const at = CHUNK_BYTES - below(random, 400);
  return start + 'x'.repeat(at - start.length) + piece + bodyOf(random, 2_000);
}

/** No field that a mail system would put aside, no line that is no field. */
function headerOf(random: Random): string {
  const fields = [
    'From: <alice@sender.test>',
    `Subject: ${draw(random, ['hello', 'gr\xfc\xdfe', `${'=?utf-8?q?=C3=BC?= '.repeat(20)}`, ' two  blanks \t'])}`,
    `X-Folded: one${CRLF}\ttwo${CRLF}  three`,
    `X-Long: ${'l'.repeat(below(random, 990))}`,
    'Received: from somewhere.test by elsewhere.test; Mon, 23 Nov 2026 00:00:00 +0000',
    'Return-Path: <somebody@else.test>',
    'Bcc: hidden@else.test',
    'Content-Length: 12',
    'Content-Type: multipart/mixed; boundary="b"',
    'x-odd:no blank after the colon',
    'X-Empty:',
  ];
  return fields.filter((_field, position) => position === 0 || random() < 0.5).join(CRLF) + CRLF;
}

function bodyOf(random: Random, sizeBytes: number): string {
  const lines: string[] = [];
  // Large ones repeat a part of up to 256 KiB, with its number in front.
  const partBytes = Math.min(sizeBytes, 262_144);
  for (let size = 0; size < partBytes; ) {
    const line = lineOf(random) + CRLF;
    lines.push(line);
    size += line.length;
  }
  const part = lines.join('');
  if (sizeBytes <= partBytes) return part;
  const times = Math.ceil(sizeBytes / part.length);
  return Array.from({ length: times }, (_, index) => `${index}${CRLF}${part}`).join('');
}

function lineOf(random: Random): string {
  switch (below(random, 14)) {
    case 0:
      return '.';
    case 1:
      return '..';
    case 2:
      return '.'.repeat(1 + below(random, 80));
    case 3:
      return `.${words(random)}`;
    case 4:
      return '';
    case 5:
      return 'x'.repeat(998);
    case 6:
      return 'y'.repeat(990 + below(random, 60));
    case 7:
      // Long lines are few: of one in this many, half have 10,000 octets.
      return random() < 0.2 ? '.z'.repeat(random() < 0.5 ? 5_000 : below(random, 5_000)) : words(random);
    case 8:
      return Array.from({ length: below(random, 80) }, () => octet(128 + below(random, 128))).join('');
    case 9:
      return `nul\0${words(random)}\0`;
    case 10:
      return `${words(random)} \t `;
    case 11:
      return draw(random, [
        'From alice',
        '>From alice',
        '--b',
        '--b--',
        'QUIT',
        'DATA',
        'Subject: not a field',
        '\t',
      ]);
    case 12:
      return Array.from({ length: below(random, 40) }, () => octet(odd(below(random, 32)))).join('');
    default:
      return words(random);
  }
}

function words(random: Random): string {
  return Array.from({ length: 1 + below(random, 12) }, () =>
    draw(random, ['mail', 'goes', 'by', 'night', '.']),
  ).join(' ');
}

/** A control character that is no CR and no LF. */
function odd(code: number): number {
  return code === 10 || code === 13 ? 0 : code;
}

function octet(code: number): string {
  return String.fromCharCode(code);
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function draw(random: Random, from: readonly string[]): string {
  return from[below(random, from.length)] ?? '';
}
