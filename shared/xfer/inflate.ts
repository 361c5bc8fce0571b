// Takes `Content-Encoding` off a request body. Only gzip is taken (RFC 9110 §8.4.1.3); inflating stops at the cap,
// so that a bomb costs no more memory than the largest honest body. zlib's errors become problems here.

import { gunzipSync } from 'node:zlib';
import { type Problem, problem } from './problem.ts';

export type InflatedBody =
  | { readonly ok: true; readonly body: Buffer }
  | { readonly ok: false; readonly problem: Problem };

/** `encoding` is the header's value; `maxBytes` holds for plain bodies too. */
export function inflateBody(body: Buffer, encoding: string | undefined, maxBytes: number): InflatedBody {
  const name = (encoding ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return withinCap(body, maxBytes);
  if (name !== 'gzip' && name !== 'x-gzip') {
    const detail = `Content-Encoding ${JSON.stringify(name.slice(0, 64))}; send gzip or none`;
    return { ok: false, problem: problem('unsupported-encoding', detail) };
  }
  if (body.length === 0) return { ok: true, body };
  try {
    return { ok: true, body: gunzipSync(body, { maxOutputLength: maxBytes }) };
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    return {
      ok: false,
      problem: tooLarge
        ? problem('inflated-too-large', `the body inflates to more than ${maxBytes} octets`)
        : problem(
            'bad-gzip',
            `the body is no whole gzip stream: ${error instanceof Error ? error.message : ''}`,
          ),
    };
  }
}

function withinCap(body: Buffer, maxBytes: number): InflatedBody {
  if (body.length <= maxBytes) return { ok: true, body };
  const detail = `the body has ${body.length} octets, at most ${maxBytes} are taken; upload large content`;
  return { ok: false, problem: problem('body-too-large', detail) };
}
