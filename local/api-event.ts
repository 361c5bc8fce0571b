// A request as an HTTP API of Amazon API Gateway hands it to a function: payload format 2.0.
// Source: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs". The guide does
// not say which bodies come as text; measured by others on AWS, it is text/*, application/json, application/xml
// and application/javascript, and everything else, also without a type, comes as base64.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { APIGatewayEventRequestContextIAMAuthorizer, APIGatewayProxyEventV2 } from 'aws-lambda';

/** Present when the route's authorizer is IAM; the embedded front stands for a caller that AWS has checked. */
export interface IamCaller {
  readonly accountId: string;
  readonly userArn: string;
}

export type ApiEvent = APIGatewayProxyEventV2 & {
  requestContext: { authorizer?: APIGatewayEventRequestContextIAMAuthorizer };
};

export function apiEvent(request: {
  readonly message: IncomingMessage;
  readonly body: Buffer;
  readonly routeKey: string;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly arrivedAtMs: number;
  readonly caller: IamCaller | undefined;
}): ApiEvent {
  const { message, body, arrivedAtMs } = request;
  const [rawPath, rawQueryString] = splitTarget(message.url ?? '/');
  const { headers, cookies } = eventHeaders(message);
  const query = queryParameters(rawQueryString);
  const hasPathParameters = Object.keys(request.pathParameters).length > 0;
  const asText = isText(headers['content-type']);
  const host = headers['host'] ?? 'localhost';
  return {
    version: '2.0',
    routeKey: request.routeKey,
    rawPath,
    rawQueryString,
    ...(cookies.length === 0 ? {} : { cookies }),
    headers,
    ...(query === undefined ? {} : { queryStringParameters: query }),
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      ...(request.caller === undefined ? {} : { authorizer: iamAuthorizer(request.caller) }),
      domainName: host,
      domainPrefix: host.split('.')[0] ?? host,
      http: {
        method: message.method ?? 'GET',
        path: rawPath,
        protocol: `HTTP/${message.httpVersion}`,
        sourceIp: message.socket.remoteAddress ?? '',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: request.routeKey,
      stage: '$default',
      time: commonLogTime(arrivedAtMs),
      timeEpoch: arrivedAtMs,
    },
    ...(body.length === 0 ? {} : { body: body.toString(asText ? 'utf8' : 'base64') }),
    ...(hasPathParameters ? { pathParameters: { ...request.pathParameters } } : {}),
    isBase64Encoded: body.length > 0 && !asText,
  };
}

function isText(contentType: string | undefined): boolean {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  return type.startsWith('text/') || /^application\/(json|xml|javascript)$/.test(type);
}

function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf('?');
  return mark === -1 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** Names in lower case, values of a repeated name joined by commas; cookies stand apart. */
function eventHeaders(message: IncomingMessage) {
  const headers: Record<string, string> = {};
  const cookies: string[] = [];
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const name = (message.rawHeaders[index] ?? '').toLowerCase();
    const value = message.rawHeaders[index + 1] ?? '';
    if (name === 'cookie') cookies.push(...value.split(/; */));
    else headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  const remote = message.socket.remoteAddress ?? '';
  const before = headers['x-forwarded-for'];
  headers['x-forwarded-for'] = before === undefined ? remote : `${before}, ${remote}`;
  headers['x-forwarded-port'] = String(message.socket.localPort ?? '');
  headers['x-forwarded-proto'] = 'http';
  return { headers, cookies };
}

function queryParameters(rawQueryString: string): Record<string, string> | undefined {
  if (rawQueryString === '') return undefined;
  const parameters: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    parameters[name] = parameters[name] === undefined ? value : `${parameters[name]},${value}`;
  }
  return parameters;
}

function iamAuthorizer({ accountId, userArn }: IamCaller): APIGatewayEventRequestContextIAMAuthorizer {
  return {
    iam: {
      accessKey: 'local',
      accountId,
      callerId: 'local',
      cognitoIdentity: null,
      principalOrgId: '',
      userArn,
      userId: 'local',
    },
  };
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `22/Nov/2026:10:00:00 +0000` */
function commonLogTime(atMs: number): string {
  const iso = new Date(atMs).toISOString();
  const month = MONTHS[Number(iso.slice(5, 7)) - 1];
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
