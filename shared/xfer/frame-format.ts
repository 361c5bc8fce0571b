// Writes the frames that `FrameParser` reads: for clients, and for the spool, which keeps each accepted frame with
// its envelope. What is written parses back to the same header; fields at their default are left out. The caller
// guarantees that `sizeBytes` is the content's length: a mismatch throws, since it would corrupt every frame after.

import type { Recipient } from '../message/envelope.ts';
import { formatInstant } from './instant.ts';
import type { XferHeader } from './message.ts';

export const FRAMES_CONTENT_TYPE = 'application/vnd.delay-xfer.v1';

/** A header and its content; an upload has none. */
export interface FrameSource {
  readonly header: XferHeader;
  readonly content?: Buffer;
}

/** The fields of the wire, as an object for JSON. */
export function headerFields(header: XferHeader): Readonly<Record<string, unknown>> {
  const { envelope } = header;
  return {
    id: header.id,
    sender: envelope.sender,
    recipients: envelope.recipients.map(recipientFields),
    sizeBytes: header.sizeBytes,
    sha256: header.sha256,
    body: envelope.body === '7BIT' ? undefined : envelope.body,
    // Said either way: left out, it would be inferred from the addresses.
    smtputf8: envelope.smtputf8,
    envid: envelope.envid,
    ret: envelope.ret,
    requireTls: envelope.requireTls || undefined,
    receivedAt: optionalInstant(header.receivedAtMs),
    receivedFrom: header.receivedFrom,
    attempts: header.attempts || undefined,
    dueAt: optionalInstant(header.dueAtMs),
    expiresAt: optionalInstant(header.expiresAtMs),
    lastReply: header.lastReply,
    upload: header.upload || undefined,
    meta: Object.keys(header.meta).length === 0 ? undefined : header.meta,
  };
}

/** The frame's line, with its LF. */
export function formatFrameHeader(header: XferHeader): Buffer {
  return Buffer.from(`${JSON.stringify(headerFields(header))}\n`, 'utf8');
}

/** Line and content of each frame in turn; content is not copied. `Buffer.concat` makes it a body. */
export function formatFrames(frames: readonly FrameSource[]): readonly Buffer[] {
  return frames.flatMap(({ header, content }) => {
    const sizeBytes = header.upload ? 0 : header.sizeBytes;
    if ((content?.length ?? 0) !== sizeBytes) {
      throw new Error(`frame ${header.id} announces ${sizeBytes} octets and has ${content?.length ?? 0}`);
    }
    return content === undefined ? [formatFrameHeader(header)] : [formatFrameHeader(header), content];
  });
}

function recipientFields(recipient: Recipient): Recipient {
  const { address, orcpt, notify } = recipient;
  return { address, ...(orcpt !== undefined && { orcpt }), ...(notify !== undefined && { notify }) };
}

function optionalInstant(atMs: number | undefined): string | undefined {
  return atMs === undefined ? undefined : formatInstant(atMs);
}
