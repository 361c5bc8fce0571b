// What is sent: 10 KB messages as the rest of the bench has them, and a large one that exists piece by piece only.

import type { Envelope } from '../../shared/message/envelope.ts';
import type { XferMessage } from '../../shared/xfer/message.ts';
import { type Message, mailFrom } from '../mail.ts';

export interface Letter {
  readonly envelope: Envelope;
  readonly sizeBytes: number;
  /** The content as the spool would give it. */
  pieces(): AsyncIterable<Buffer>;
  /** The same at once, where it is in memory anyway. */
  readonly whole?: Buffer;
}

export const LETTER_BYTES = 10 * 1_024;
const DOMAIN = 'bench.test';

export function lettersFrom(seed: number, count: number): readonly Letter[] {
  return make(seed, count).map(({ header: { envelope }, content }) => ({
    envelope,
    sizeBytes: content.length,
    whole: content,
    async *pieces() {
      yield content;
    },
  }));
}

/** The same messages as a sender hands them over for delivery. */
export function mailOf(seed: number, count: number): readonly XferMessage[] {
  return make(seed, count).map((message) => ({ kind: 'message', ...message }));
}

function make(seed: number, count: number): readonly Message[] {
  return mailFrom(seed).make(count, { sizeBytes: LETTER_BYTES, domains: [DOMAIN], deferEvery: 0 });
}

/** As S3 streams. */
const PIECE_BYTES = 64 * 1_024;

/** Lines of base64, as a message of that size has; a piece is made when it is asked for. */
export function largeLetter(sizeBytes: number): Letter {
  const [small] = lettersFrom(1, 1);
  if (small === undefined) throw new Error('there is no letter');
  const line = Buffer.from(`${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY0'.padEnd(76, 'x')}\r\n`, 'latin1');
  return {
    envelope: small.envelope,
    sizeBytes,
    async *pieces() {
      for (let made = 0; made < sizeBytes; made += PIECE_BYTES) {
        const piece = Buffer.alloc(Math.min(PIECE_BYTES, sizeBytes - made), line);
        if (made + piece.length === sizeBytes) piece.write('\r\n', piece.length - 2, 'latin1');
        yield piece;
      }
    },
  };
}
