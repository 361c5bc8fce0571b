// Mail for measurements: messages of a given size with the headers that an MTA's mail has, and the frames that
// the sidecar would send for them. The same seed gives the same mail, ids included.

import { createHash } from 'node:crypto';
import { formatFrames } from '../shared/xfer/frame-format.ts';
import type { XferHeader } from '../shared/xfer/message.ts';

export interface Message {
  readonly header: XferHeader;
  readonly content: Buffer;
}

export interface MailOptions {
  readonly sizeBytes: number;
  /** Domains in turn. */
  readonly domains: readonly string[];
  /** Every n-th message is refused once with a 450 and taken at its second attempt; 0: none. */
  readonly deferEvery: number;
}

export interface MailSource {
  make(count: number, options: MailOptions): readonly Message[];
}

export function mailFrom(seed: number): MailSource {
  const random = seededRandom(seed);
  const words = Buffer.from(
    Array.from({ length: 64 * 1_024 }, () => 97 + Math.floor(random() * 26)),
  ).toString('latin1');
  let made = 0;
  const makeOne = (options: MailOptions): Message => {
    made += 1;
    const deferred = options.deferEvery > 0 && made % options.deferEvery === 0;
    const domain = options.domains[made % options.domains.length] ?? '';
    const recipient = `${deferred ? 'defer-1' : 'ok'}+reader-${seed}-${made}@${domain}`;
    const start = Math.floor(random() * 1_024);
    const content = contentOf(made, recipient, options.sizeBytes, words, start);
    const digest = createHash('sha256').update(content);
    const header: XferHeader = {
      // The sidecar's ids are as long.
      id: createHash('sha256').update(`${seed} ${made}`).digest('base64url'),
      envelope: {
        sender: 'newsletter@sender.example',
        recipients: [{ address: recipient }],
        body: '7BIT',
        smtputf8: false,
        requireTls: false,
      },
      sizeBytes: content.length,
      sha256: digest.digest('hex'),
      receivedAtMs: Date.now(),
      receivedFrom: 'mta-1.sender.example',
      attempts: 0,
      upload: false,
      meta: {},
    };
    return { header, content };
  };
  return { make: (count, options) => Array.from({ length: count }, () => makeOne(options)) };
}

/** Bodies of transfers with `batch` messages each. */
export function transfersOf(messages: readonly Message[], batch: number): readonly Transfer[] {
  const transfers: Transfer[] = [];
  for (let start = 0; start < messages.length; start += batch) {
    const part = messages.slice(start, start + batch);
    transfers.push({ count: part.length, body: Buffer.concat(formatFrames(part)) });
  }
  return transfers;
}

export interface Transfer {
  readonly count: number;
  readonly body: Buffer;
}

const LINE_CHARACTERS = 76;

function contentOf(
  number: number,
  recipient: string,
  sizeBytes: number,
  words: string,
  start: number,
): Buffer {
  const head = [
    'Received: from app.sender.example (app.sender.example [192.0.2.7])',
    `\tby mta-1.sender.example (Postfix) with ESMTPS id ${number.toString(36).toUpperCase()}`,
    `\tfor <${recipient}>; Sun, 22 Nov 2026 10:00:00 +0000 (UTC)`,
    'From: Newsletter <newsletter@sender.example>',
    `To: <${recipient}>`,
    `Subject: Number ${number}`,
    `Message-ID: <${number}.bench@sender.example>`,
    'Date: Sun, 22 Nov 2026 10:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    '',
  ].join('\r\n');
  const lines: string[] = [head];
  for (let length = head.length, at = start; length < sizeBytes; at += LINE_CHARACTERS) {
    const room = Math.max(0, Math.min(LINE_CHARACTERS, sizeBytes - length - 2));
    const from = at % (words.length - LINE_CHARACTERS);
    lines.push(`${words.slice(from, from + room)}\r\n`);
    length += room + 2;
  }
  return Buffer.from(lines.join(''), 'latin1');
}

/** Uniform in [0, 1): mulberry32, good enough for filler text. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
