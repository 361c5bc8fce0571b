// What servers say: replies as a grammar has them, of many shapes, for each place in the dialogue.

import type { Draw } from './draw.ts';

/** The basic code decides; the text is any. */
export interface DrawnReply {
  readonly code: number;
  /** With line ends. */
  readonly octets: Buffer;
}

const TEXTS = [
  'Ok',
  'ok: queued as 4Bx7',
  'no such user here',
  'Greylisted, please try again',
  'mailbox full',
  'Message accepted for delivery',
  '',
  ' ',
  'a'.repeat(200),
  'Grüße, 日本語',
  '250 in the text',
  '-',
  'see https://example.net/?p=1&q=550',
  'closing connection',
  '<bob@example.net>... done',
];

export function drawReply(draw: Draw, code: number, status = drawStatus(draw, code)): DrawnReply {
  const lines = draw.weighted([
    [12, 1],
    [3, 2],
    [1, 5],
  ] as const);
  const end = draw.chance(0.05) ? '\n' : '\r\n';
  const text = Array.from({ length: lines }, (_, index) => {
    const isLast = index === lines - 1;
    const words = draw.pick(TEXTS);
    const between = isLast ? ' ' : '-';
    if (isLast && words === '' && status === '' && draw.chance(0.5)) return `${code}${end}`;
    return `${code}${between}${status}${status === '' ? '' : ' '}${words}${end}`;
  }).join('');
  return { code, octets: Buffer.from(text, 'utf8') };
}

function drawStatus(draw: Draw, code: number): string {
  if (code < 200 || code >= 600 || (code < 400 && code >= 300)) return '';
  if (draw.chance(0.4)) return '';
  // One in twenty disagrees with its code, as in life.
  const first = draw.chance(0.05) ? draw.pick([2, 4, 5]) : Math.floor(code / 100);
  return `${first}.${draw.pick([0, 1, 2, 3, 4, 6, 7])}.${draw.pick([0, 1, 2, 7, 10, 26])}`;
}

export const TRANSIENT = [450, 451, 452, 450, 451, 421] as const;
/** Not 500, 502, 503: those are about the dialogue, and the client may read them so. */
export const PERMANENT = [550, 551, 552, 553, 554, 550, 521, 571] as const;
export const TOO_MANY = '452 4.5.3 too many recipients\r\n';

/** Anything, also what is no code. */
export function drawAnyCode(draw: Draw): number {
  return draw.weighted([
    [6, draw.pick([220, 221, 250, 251, 252, 354, 334])],
    [6, draw.pick([421, 450, 451, 452, 500, 501, 502, 503, 504, 550, 552, 554, 555])],
    [2, 200 + draw.below(400)],
    [1, draw.below(1_000)],
  ]);
}

/** Words that are no reply, or hardly one. */
export function drawGarbage(draw: Draw): Buffer {
  return draw.weighted<() => Buffer>([
    [
      3,
      () =>
        Buffer.from(
          draw.pick(['hello?\r\n', '\r\n', '\n', ' 250 Ok\r\n', '25O Ok\r\n', '2500 Ok\r\n', '-\r\n']),
        ),
    ],
    [
      2,
      () =>
        Buffer.from(
          draw.pick(['250-Ok\r\n550 no\r\n', '550-no\r\n250 Ok\r\n', '250\tOk\r\n', '250Ok\r\n', '99 x\r\n']),
        ),
    ],
    [
      2,
      () =>
        Buffer.concat([Buffer.from(Array.from({ length: 1 + draw.below(40) }, () => draw.below(256))), CRLF]),
    ],
    [1, () => Buffer.from(`${draw.pick([250, 550])} ${'x'.repeat(8_000 + draw.below(4_000))}\r\n`)],
    [1, () => Buffer.from(`${`${draw.pick([250, 550])}-more\r\n`.repeat(200)}`)],
  ])();
}

const CRLF = Buffer.from('\r\n');
