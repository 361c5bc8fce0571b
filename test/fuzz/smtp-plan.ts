// What one SMTP case is about: the messages that are sent, and what the peer is like. Drawn, then played.

import type { Envelope, Recipient } from '../../shared/message/envelope.ts';
import type { SmtpContent, SmtpTimeouts } from '../../shared/smtp/client.ts';
import type { Draw } from './draw.ts';

export interface Letter {
  /** `m0`, `m1`, …: the local part of its reverse path. */
  readonly name: string;
  readonly envelope: Envelope;
  /** What the peer must get, its last line ended. */
  readonly octets: Buffer;
  readonly content: SmtpContent;
  /** The content fails, or is not of the size that it claims: no final dot may be sent. */
  readonly isFaulty: boolean;
}

export type MutationKind =
  | 'wrong code'
  | 'garbage'
  | 'garbage before'
  | 'doubled'
  | 'missing'
  | 'swapped'
  | 'cut and close'
  | 'cut and reset'
  | 'close'
  | 'reset'
  | 'silence'
  | 'drop input'
  | 'reply in content'
  | '421';

export interface Mutation {
  /** The how-manieth reply it befalls; 0 is the greeting. */
  readonly at: number;
  readonly kind: MutationKind;
}

export interface PeerProfile {
  readonly extensions: readonly string[];
  /** Answers EHLO with 5xx. */
  readonly knowsOnlyHelo: boolean;
  /** Offers STARTTLS, and then refuses it, or says 220 and no TLS follows: the client comes again in clear. */
  readonly startTls: 'not offered' | 'refused' | 'broken';
  /** How often it accepts, 0 to 1. */
  readonly kindness: number;
  readonly maxRecipients: number;
  /** 354 although nobody was accepted, as RFC 2920 §3.1 allows. */
  readonly takesDataForNobody: boolean;
  /** How its octets are cut: whole replies, what a turn gave, pieces, single octets. */
  readonly pieces: 'replies' | 'turns' | 'cut' | 'octets';
  /** Turns it thinks before it answers. */
  readonly lag: number;
  /** Says 421 after so many messages. */
  readonly maxMessages: number;
  readonly mutations: readonly Mutation[];
  /** Loses what came in the same piece behind a final dot, or behind any command. */
  readonly loses: 'nothing' | 'behind the dot' | 'behind each command';
}

export interface CasePlan {
  readonly letters: readonly Letter[];
  readonly profile: PeerProfile;
  readonly timeouts: SmtpTimeouts;
  /** Nothing happens that RFC 5321 does not allow: the outcomes are known. */
  readonly isClean: boolean;
  /** The client's socket takes long writes a turn later. */
  readonly isSlow: boolean;
  /** The session is destroyed after so many turns. */
  readonly destroyAfter: number | undefined;
}

export function drawPlan(draw: Draw): CasePlan {
  const isClean = draw.chance(0.3);
  const extensions = drawExtensions(draw);
  const mutations = isClean
    ? []
    : Array.from({ length: 1 + draw.below(3) }, () => ({
        at: draw.below(draw.pick([4, 10, 30])),
        kind: draw.weighted(KINDS),
      }));
  const loses = isClean
    ? 'nothing'
    : draw.weighted([
        [16, 'nothing'],
        [1, 'behind the dot'],
        [1, 'behind each command'],
      ] as const);
  const letters = Array.from(
    {
      length: draw.weighted([
        [3, 1],
        [3, 2],
        [2, 4],
        [1, 7],
      ]),
    },
    (_, index) => drawLetter(draw, index),
  );
  return {
    letters,
    profile: {
      extensions,
      knowsOnlyHelo: draw.chance(0.04),
      startTls: draw.weighted([
        [40, 'not offered'],
        [4, 'refused'],
        [1, 'broken'],
      ] as const),
      kindness: draw.pick([1, 1, 0.95, 0.7, 0.3]),
      maxRecipients: draw.chance(0.15) ? 1 + draw.below(2) : Number.POSITIVE_INFINITY,
      takesDataForNobody: draw.chance(0.2),
      pieces: draw.weighted([
        [4, 'replies'],
        [4, 'turns'],
        [2, 'cut'],
        [1, 'octets'],
      ] as const),
      lag: draw.weighted([
        [6, 0],
        [2, 1],
        [1, 3],
      ]),
      maxMessages: draw.chance(0.1) ? draw.below(4) : Number.POSITIVE_INFINITY,
      mutations,
      loses,
    },
    // A machine that stalls must not look like a peer that is silent, where the outcome is known.
    timeouts: evenly(isClean ? 60_000 : 40),
    isClean,
    isSlow: draw.chance(0.3),
    destroyAfter: isClean || !draw.chance(0.04) ? undefined : draw.below(30),
  };
}

const KINDS: readonly (readonly [number, MutationKind])[] = [
  [5, 'wrong code'],
  [3, 'garbage'],
  [2, 'garbage before'],
  [3, 'doubled'],
  [3, 'missing'],
  [2, 'swapped'],
  [2, 'cut and close'],
  [1, 'cut and reset'],
  [2, 'close'],
  [2, 'reset'],
  [1, 'silence'],
  [2, 'drop input'],
  [2, 'reply in content'],
  [2, '421'],
];

function drawExtensions(draw: Draw): readonly string[] {
  const all = [
    'SIZE 10000',
    'SIZE',
    'SIZE 0',
    '8BITMIME',
    'SMTPUTF8',
    'DSN',
    'CHUNKING',
    'ENHANCEDSTATUSCODES',
    'HELP',
    'x-odd one',
    '',
  ];
  const some = all.filter(() => draw.chance(0.4));
  return draw.shuffled(draw.chance(0.8) ? ['PIPELINING', ...some] : some);
}

function evenly(ms: number): SmtpTimeouts {
  return {
    openingMs: 4 * ms,
    connectMs: 4 * ms,
    greetingMs: ms,
    ehloMs: ms,
    tlsMs: ms,
    mailMs: ms,
    rcptMs: ms,
    dataMs: ms,
    contentMs: ms,
    finalMs: ms,
    rsetMs: ms,
    quitMs: ms,
  };
}

function drawLetter(draw: Draw, index: number): Letter {
  const name = `m${index}`;
  const recipients: Recipient[] = Array.from(
    {
      length: draw.weighted([
        [5, 1],
        [3, 2],
        [1, 5],
      ]),
    },
    (_, at) => ({
      address: draw.chance(0.03)
        ? `r${at}é@example.net`
        : draw.chance(0.03)
          ? `r${at}@bücher.example`
          : `r${at}@example.net`,
      ...(draw.chance(0.1) ? { notify: ['FAILURE' as const] } : {}),
    }),
  );
  const octets = drawContent(draw, name);
  const isFaulty = draw.chance(0.03);
  return {
    name,
    envelope: {
      sender: `${name}@example.com`,
      recipients,
      body: draw.chance(0.1) ? '8BITMIME' : '7BIT',
      smtputf8: draw.chance(0.05),
      requireTls: draw.chance(0.02),
    },
    octets: octets.length === 0 || octets.subarray(-2).equals(CRLF) ? octets : Buffer.concat([octets, CRLF]),
    content: contentOf(draw, octets, isFaulty),
    isFaulty,
  };
}

const CRLF = Buffer.from('\r\n');
const LINES = [
  '',
  '.',
  '..',
  '.dot',
  'DATA',
  'QUIT',
  'RSET',
  'MAIL FROM:<evil@example.com>',
  '250 Ok',
  'a'.repeat(1_200),
  '\0\xff\x80',
  ' ',
];

/** Every line tells whose it is, or begins as a command would. */
function drawContent(draw: Draw, name: string): Buffer {
  const lines = Array.from(
    {
      length: draw.weighted([
        [1, 0],
        [6, 2],
        [3, 12],
        // Beyond what is handed to a socket at a time.
        [0.1, 2_000],
      ]),
    },
    () => (draw.chance(0.5) ? `${name} says ${draw.below(1_000)}` : draw.pick(LINES)),
  );
  const text = lines.map((line) => `${line}\r\n`).join('');
  return Buffer.from(draw.chance(0.9) ? text : text.slice(0, -2), 'latin1');
}

const MOST_PIECES = 2_000;

function contentOf(draw: Draw, octets: Buffer, isFaulty: boolean): SmtpContent {
  const pieces: Buffer[] = [];
  const mostPerPiece = draw.pick([1_000_000, 5_000, 100, 7, 1]);
  for (let from = 0; from < octets.length && pieces.length < MOST_PIECES; ) {
    const isLast = pieces.length === MOST_PIECES - 1;
    const length = isLast ? octets.length : 1 + draw.below(Math.min(mostPerPiece, octets.length));
    pieces.push(octets.subarray(from, from + length));
    from += length;
  }
  const waits = octets.length < 10_000 && draw.chance(0.2);
  const fault = isFaulty ? draw.pick(['throws', 'short', 'long', 'unopened'] as const) : undefined;
  return {
    sizeBytes:
      octets.length +
      (fault === 'short' ? 1 : fault === 'long' && octets.length > 0 ? -1 : fault === 'long' ? 0 : 0),
    async open() {
      if (fault === 'unopened') throw new Error('the spool is away');
      return (async function* () {
        for (const piece of pieces) {
          if (waits) await new Promise((resolve) => setImmediate(resolve));
          yield piece;
        }
        if (fault === 'long') yield Buffer.from('more');
        if (fault === 'throws') throw new Error('the spool broke off');
      })();
    },
  };
}
