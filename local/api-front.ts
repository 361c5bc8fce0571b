// An HTTP API of Amazon API Gateway on this machine, in front of one function: routes, payload format 2.0, the
// 10 MB body, the 6 MB event and the 30 s that AWS allows, and AWS's own answers when the function fails.
// Promises: the handler sees what it would see on AWS, and the client gets what it would get there; `close`
// answers the requests under way first.
// Limits: no TLS and no signature check: the IAM caller of the routes is given, not proved.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { HTTP_API_TIMEOUT_SECONDS, LAMBDA_MAX_REQUEST_BYTES } from '../shared/aws/limits.ts';
import { type ApiEvent, apiEvent, type IamCaller } from './api-event.ts';
import { type Handler, invoke } from './lambda.ts';

/** API Gateway quotas for HTTP APIs: payload size, 10 MB, not adjustable. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** API Gateway quotas for HTTP APIs: request line and header values together. */
const MAX_HEADER_BYTES = 10_240;

export interface ApiRoute {
  /** `POST /delay_message/{id}`: method, space, path; a segment in braces matches any one segment. Or `$default`. */
  readonly key: string;
  readonly authorizer: 'iam' | 'none';
}

export interface ApiFrontOptions {
  readonly functionName: string;
  readonly handler: Handler<ApiEvent, APIGatewayProxyStructuredResultV2>;
  readonly functionTimeoutMs: number;
  readonly routes: readonly ApiRoute[];
  /** Whom IAM routes are called by; without one such a route answers 403 as AWS does to an unsigned request. */
  readonly caller?: IamCaller;
  /** Every address must be free; port 0 takes a free one for that address. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Who may call at all, by remote address: as the API's resource policy would say. Everybody when absent. */
  readonly admits?: (address: string) => boolean;
  /** For tests; AWS's is not adjustable. */
  readonly integrationTimeoutMs?: number;
  /** What the handler threw, which AWS would only log. */
  readonly onFault?: (error: unknown) => void;
}

export interface ApiFront {
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  close(): Promise<void>;
}

/** Rejects with the system's error when an address cannot be listened on; nothing is left listening then. */
export async function startApiFront(options: ApiFrontOptions): Promise<ApiFront> {
  let closing = false;
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    void answer(options, request, Date.now()).then(
      (result) => {
        if (closing) response.setHeader('connection', 'close');
        respond(request, response, result);
      },
      (error) => {
        // A client that went away in the middle of its body is no fault of ours.
        if (request.complete) options.onFault?.(error);
        response.destroy();
      },
    );
  };
  const servers = options.addresses.map(() => createServer({ maxHeaderSize: MAX_HEADER_BYTES }, serve));
  try {
    const addresses = await Promise.all(
      servers.map((server, index) =>
        listen(server, options.addresses[index] ?? { host: '127.0.0.1', port: 0 }),
      ),
    );
    const close = () => {
      closing = true;
      return closeAll(servers);
    };
    return { addresses, close };
  } catch (error) {
    await closeAll(servers);
    throw error;
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Buffer;
}

async function answer(
  options: ApiFrontOptions,
  request: IncomingMessage,
  arrivedAtMs: number,
): Promise<Answer> {
  if (options.admits?.(request.socket.remoteAddress ?? '') === false) return message(403, 'Forbidden');
  const body = await readBody(request);
  if (body === undefined) return message(413, 'Request Entity Too Large');
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const route = matchRoute(options.routes, request.method ?? 'GET', path);
  if (route === undefined) return message(404, 'Not Found');
  if (route.authorizer === 'iam' && options.caller === undefined) return message(403, 'Forbidden');
  const event = apiEvent({
    message: request,
    body,
    routeKey: route.key,
    pathParameters: route.parameters,
    arrivedAtMs,
    caller: route.authorizer === 'iam' ? options.caller : undefined,
  });
  if (Buffer.byteLength(JSON.stringify(event)) > LAMBDA_MAX_REQUEST_BYTES)
    return message(413, 'Request Too Long');
  return await invokeWithin(options, event);
}

async function invokeWithin(options: ApiFrontOptions, event: ApiEvent): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<Answer>((resolve) => {
    const limitMs = options.integrationTimeoutMs ?? HTTP_API_TIMEOUT_SECONDS * 1_000;
    timer = setTimeout(() => resolve(message(503, 'Service Unavailable')), limitMs);
  });
  const answered = invoke(options.functionName, options.handler, event, options.functionTimeoutMs).then(
    functionAnswer,
    (error) => {
      options.onFault?.(error);
      return message(500, 'Internal Server Error');
    },
  );
  try {
    return await Promise.race([answered, timedOut]);
  } finally {
    clearTimeout(timer);
  }
}

function functionAnswer(result: APIGatewayProxyStructuredResultV2): Answer {
  const headers: Record<string, string | readonly string[]> = { 'content-type': 'text/plain; charset=utf-8' };
  for (const [name, value] of Object.entries(result.headers ?? {}))
    headers[name.toLowerCase()] = String(value);
  if (result.cookies !== undefined) headers['set-cookie'] = result.cookies;
  const body = Buffer.from(result.body ?? '', result.isBase64Encoded === true ? 'base64' : 'utf8');
  return { status: result.statusCode ?? 200, headers, body };
}

/** AWS's own answers are JSON with one member. */
function message(status: number, text: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ message: text })),
  };
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
): void {
  if (response.destroyed) return;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('apigw-requestid', randomUUID());
  response.setHeader('content-length', body.length);
  response.writeHead(status);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Undefined when it is too large; the rest is read and dropped, so that the client gets to read the answer. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes <= MAX_BODY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return sizeBytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}

interface MatchedRoute extends ApiRoute {
  readonly parameters: Readonly<Record<string, string>>;
}

/** A route without braces wins over one with; `$default` takes what no other does. */
function matchRoute(routes: readonly ApiRoute[], method: string, path: string): MatchedRoute | undefined {
  const matches = routes.flatMap((route) => {
    const [routeMethod, pattern = ''] = route.key.split(' ');
    const parameters = routeMethod === method ? matchPath(pattern, path) : undefined;
    return parameters === undefined ? [] : [{ ...route, parameters }];
  });
  const fallback = routes.find((route) => route.key === '$default');
  return (
    matches.find((match) => Object.keys(match.parameters).length === 0) ??
    matches[0] ??
    (fallback === undefined ? undefined : { ...fallback, parameters: {} })
  );
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const segments = path.split('/');
  if (wanted.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, want] of wanted.entries()) {
    const segment = segments[index] ?? '';
    if (want.startsWith('{') && want.endsWith('}')) parameters[want.slice(1, -1)] = decoded(segment);
    else if (want !== segment) return undefined;
  }
  return parameters;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

async function listen(server: Server, address: { readonly host: string; readonly port: number }) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound: string | AddressInfo | null = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the API does not listen on TCP');
  return { host: address.host, port: bound.port };
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(
    servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeIdleConnections();
        }),
    ),
  );
}
