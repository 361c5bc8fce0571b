// What stands in the spool: one object per transfer, a line that says whose it is, then the accepted frames as
// they came, inflated; frames of uploads, which have no octets, in one of their own. Content is read by range. The object alone is enough to rebuild the ledger's items (I5).

import { createHash } from 'node:crypto';
import { formatFrameHeader } from '../xfer/frame-format.ts';
import type { XferHeader } from '../xfer/message.ts';
import type { MessageKey } from './delivery.ts';

const SPOOL_VERSION = 1;

export interface SpoolFrame {
  readonly header: XferHeader;
  /** Absent for uploads: their octets have an object of their own. */
  readonly content?: Uint8Array;
}

export interface SpoolObject {
  readonly bytes: Buffer;
  /** Where each frame's content starts, in the frames' order. */
  readonly offsets: readonly number[];
}

export function composeSpoolObject(
  frames: readonly SpoolFrame[],
  about: { readonly credential: string; readonly acceptedAtMs: number; readonly traceHost: string },
): SpoolObject {
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  let length = 0;
  const append = (part: Uint8Array) => {
    parts.push(part);
    length += part.length;
  };
  const { credential, acceptedAtMs, traceHost } = about;
  append(
    Buffer.from(
      `${JSON.stringify({ v: SPOOL_VERSION, credential, acceptedAt: new Date(acceptedAtMs).toISOString(), traceHost })}\n`,
    ),
  );
  for (const frame of frames) {
    append(Buffer.from(formatFrameHeader(frame.header)));
    offsets.push(length);
    if (frame.content !== undefined) append(frame.content);
  }
  return { bytes: Buffer.concat(parts, length), offsets };
}

/** Where an upload goes: never taken from the client, always computed again. */
export function uploadKey(key: MessageKey, sha256Hex: string): string {
  const name = createHash('sha256').update(`${key.credential}#${key.id}#${sha256Hex}`).digest('base64url');
  return `${name}/upload`;
}
