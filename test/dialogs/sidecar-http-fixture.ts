// A sidecar with an HTTP listener on a free port of the loopback interface, and requests to it.

import { request as httpRequest } from 'node:http';
import type { TestContext } from 'node:test';
import type { SidecarOptions } from '../../sidecar/start.ts';
import { type Fixture, sidecarFor } from './sidecar-fixture.ts';

export const FRAMES = 'application/vnd.delay-xfer.v1';
export const LETTER = 'From: b@example.com\r\nSubject: hello\r\n\r\nHello.\r\n';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The body as JSON. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface HttpAsk {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export interface HttpFixture extends Fixture {
  readonly httpPort: number;
  ask(ask: HttpAsk): Promise<HttpAnswer>;
  /** One transfer of frames. */
  transfer(body: Buffer | string, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
}

export async function httpSidecarFor(
  context: Pick<TestContext, 'after'>,
  configuration: string,
  options: Partial<SidecarOptions> = {},
): Promise<HttpFixture> {
  const text = `${configuration}\nHTTP_Listener { Listen "127.0.0.1:0" {} }\n`;
  const fixture = await sidecarFor(context, text, options);
  const httpPort = fixture.sidecar.addresses.find(({ kind }) => kind === 'http')?.port ?? 0;
  const ask = (wanted: HttpAsk): Promise<HttpAnswer> => askAt(httpPort, wanted);
  return {
    ...fixture,
    httpPort,
    ask,
    transfer: (body, headers = {}) => ask({ body, headers: { 'content-type': FRAMES, ...headers } }),
  };
}

export function askAt(
  port: number,
  { method = 'POST', path, headers = {}, body = '' }: HttpAsk,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path: path ?? '/delay_message',
        headers: { 'content-length': Buffer.byteLength(body), ...headers },
        agent: false,
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(pieces);
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          const json = isJson && whole.length > 0 ? JSON.parse(whole.toString()) : {};
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole, json });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

/** A frame for `a@example.net`, with the fields given beside or instead. */
export function frame(id: string, fields: Readonly<Record<string, unknown>> = {}, content = LETTER): string {
  const header = {
    id,
    sender: 'b@example.com',
    recipients: ['a@example.net'],
    sizeBytes: Buffer.byteLength(content),
    ...fields,
  };
  return `${JSON.stringify(header)}\n${content}`;
}
