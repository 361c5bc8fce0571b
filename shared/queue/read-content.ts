// The octets of a delivery as they go on the wire: the trace, then the content from the spool. A peer may take minutes
// between two pieces, and the spool keeps no stream open for so long: what breaks off is read on from where it broke.
// Throws when the spool fails several times without giving an octet; what was read by then is no whole message.

import type { Readable } from 'node:stream';
import type { ContentLocation } from './delivery.ts';
import { type Spool, StoreError } from './ports.ts';

/** In a row, without an octet between them. */
const MAX_FAILURES = 3;

export interface ContentToRead {
  readonly trace: Uint8Array;
  readonly place: ContentLocation;
  readonly sizeBytes: number;
  /** A stream of the whole content that was opened already. */
  readonly opened?: Readable;
}

export async function* readContent(
  spool: Pick<Spool, 'open'>,
  { trace, place, sizeBytes, opened }: ContentToRead,
): AsyncGenerator<Uint8Array> {
  let stream = opened;
  // It may break before anybody reads it.
  stream?.on('error', () => {});
  try {
    yield trace;
    let readBytes = 0;
    let failures = 0;
    while (readBytes < sizeBytes) {
      try {
        stream ??= await spool.open(place.key, place.offset + readBytes, sizeBytes - readBytes);
        if (stream === undefined) throw new StoreError('not-applied', `${place.key} is gone from the spool`);
        for await (const piece of stream) {
          const octets: Uint8Array = piece;
          readBytes += octets.length;
          failures = 0;
          yield octets;
        }
        if (readBytes < sizeBytes) throw new StoreError('not-applied', `${place.key} ended early`);
      } catch (error) {
        failures += 1;
        if (failures >= MAX_FAILURES) throw error;
        stream?.destroy();
        stream = undefined;
      }
    }
  } finally {
    stream?.destroy();
  }
}
