// A request's body as a stream: gzip taken off (RFC 9110 §8.4.1.3), its length capped, and no faster than its taker.

import { createGunzip, type Gunzip } from 'node:zlib';
import type { RequestHeaders } from '../../shared/xfer/body.ts';
import { type Problem, problem } from '../../shared/xfer/problem.ts';

export interface BodySource {
  readonly headers: RequestHeaders;
  readonly body: AsyncIterable<Buffer>;
}

/**
 * Hands the body over piece by piece, inflated where the request says so. The first fault ends it, and then the rest
 * of the body is left unread. Rejects when the body breaks off.
 */
export async function pour(
  request: BodySource,
  capBytes: number,
  take: (piece: Buffer) => Promise<Problem | undefined>,
): Promise<Problem | undefined> {
  const encoding = (request.headers['content-encoding'] ?? '').trim().toLowerCase();
  const plain = encoding === '' || encoding === 'identity';
  if (!plain && encoding !== 'gzip' && encoding !== 'x-gzip') {
    const detail = `Content-Encoding ${JSON.stringify(encoding.slice(0, 64))}; send gzip or none`;
    return problem('unsupported-encoding', detail);
  }
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (plain && declaredBytes > capBytes) return tooLarge(declaredBytes, capBytes);
  let sizeBytes = 0;
  const counted = async (piece: Buffer): Promise<Problem | undefined> => {
    sizeBytes += piece.length;
    if (sizeBytes <= capBytes) return take(piece);
    return plain
      ? tooLarge(sizeBytes, capBytes)
      : problem('inflated-too-large', `the body inflates to more than ${capBytes} octets`);
  };
  return plain ? takeAll(request.body, counted) : inflate(request.body, counted);
}

function tooLarge(sizeBytes: number, capBytes: number): Problem {
  return problem('body-too-large', `the body has ${sizeBytes} octets or more, at most ${capBytes} are taken`);
}

async function takeAll(
  pieces: AsyncIterable<Buffer>,
  take: (piece: Buffer) => Promise<Problem | undefined>,
): Promise<Problem | undefined> {
  for await (const piece of pieces) {
    const fault = await take(piece);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

async function inflate(
  body: AsyncIterable<Buffer>,
  take: (piece: Buffer) => Promise<Problem | undefined>,
): Promise<Problem | undefined> {
  const gunzip = createGunzip();
  const source: Fed = { sizeBytes: 0 };
  void feed(body, gunzip, source);
  try {
    return await takeAll(gunzip, take);
  } catch (error) {
    if (source.broken !== undefined) throw source.broken;
    if (source.sizeBytes === 0) return undefined;
    const text = error instanceof Error ? error.message : '';
    return problem('bad-gzip', `the body is no whole gzip stream: ${text}`);
  } finally {
    gunzip.destroy();
  }
}

interface Fed {
  sizeBytes: number;
  broken?: unknown;
}

/** Writes the body into the stream, as fast as it reads; what breaks the body off is told in `source`. */
async function feed(body: AsyncIterable<Buffer>, gunzip: Gunzip, source: Fed): Promise<void> {
  try {
    for await (const piece of body) {
      source.sizeBytes += piece.length;
      if (gunzip.destroyed) return;
      if (!gunzip.write(piece)) await drained(gunzip);
    }
    if (!gunzip.destroyed) gunzip.end();
  } catch (error) {
    source.broken = error;
    gunzip.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function drained(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      gunzip.off('drain', done);
      gunzip.off('close', done);
      resolve();
    };
    gunzip.on('drain', done);
    gunzip.on('close', done);
    if (gunzip.destroyed) done();
  });
}
