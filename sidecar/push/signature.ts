// Signs requests for an API that trusts IAM (AWS Signature Version 4, service execute-api). The content's hash is
// computed over its pieces, so that a transfer is never copied for it. Throws when there are no credentials or the
// region is not known.

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { XferRoute } from '../../shared/config/routes.ts';
import type { HttpRequest } from './receiver-client.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Answers the headers to send instead of the request's own. */
export type SignRequest = (
  route: XferRoute,
  request: Pick<HttpRequest, 'method' | 'path' | 'headers' | 'body'>,
) => Promise<Readonly<Record<string, string>>>;

/** `credentials` is asked for each request and caches as it sees fit. */
export function createSigner(credentials: () => Promise<AwsCredentials>, nowMs: () => number): SignRequest {
  return async (route, request) => {
    const signer = new SignatureV4({
      service: 'execute-api',
      region: regionOf(route),
      credentials,
      sha256: Sha256,
    });
    const hash = createHash('sha256');
    for await (const piece of 'read' in request.body ? request.body.read() : request.body) hash.update(piece);
    const signed = await signer.sign(
      {
        method: request.method,
        protocol: route.tls ? 'https:' : 'http:',
        hostname: route.host,
        path: request.path,
        query: {},
        headers: { ...request.headers, 'x-amz-content-sha256': hash.digest('hex') },
      },
      { signingDate: new Date(nowMs()) },
    );
    return signed.headers;
  };
}

/** From the route's `region`, or from a host like `abc.execute-api.eu-west-1.amazonaws.com`. */
export function regionOf(route: XferRoute): string {
  const region =
    route.region ?? /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(route.host)?.[1];
  if (region === undefined)
    throw new Error(`the region of ${route.host} is not known; add region= to its route`);
  return region;
}

/** Node's SHA-256 and HMAC in the form that the signer asks for. */
class Sha256 {
  #hash: Hash | Hmac;
  readonly #secret: string | NodeJS.ArrayBufferView | undefined;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret);
    this.#hash = this.#fresh();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#fresh();
  }

  #fresh(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
