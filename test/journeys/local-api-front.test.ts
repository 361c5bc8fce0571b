// The API in front of the receive function: what the handler sees, and what the client gets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { ApiEvent } from '../../local/api-event.ts';
import { type ApiFrontOptions, startApiFront } from '../../local/api-front.ts';

const CALLER = { accountId: '123456789012', userArn: 'arn:aws:sts::123456789012:assumed-role/mta/i-1' };

async function frontFor(t: TestContext, options: Partial<ApiFrontOptions> = {}) {
  const events: ApiEvent[] = [];
  const front = await startApiFront({
    functionName: 'receive',
    functionTimeoutMs: 29_000,
    routes: [
      { key: 'POST /delay_message', authorizer: 'iam' },
      { key: 'POST /delay_message/uploads', authorizer: 'iam' },
      { key: 'DELETE /delay_message/{id}', authorizer: 'iam' },
      { key: 'GET /health', authorizer: 'none' },
    ],
    caller: CALLER,
    addresses: [{ host: '127.0.0.1', port: 0 }],
    handler: async (event) => {
      events.push(event);
      return { statusCode: 202, body: 'seen' };
    },
    ...options,
  });
  t.after(() => front.close());
  return { front, events, url: `http://127.0.0.1:${front.addresses[0]?.port}` };
}

test('a request becomes an event of format 2.0', async (t) => {
  const { url, events } = await frontFor(t);
  const before = Date.now();
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    'POST /delay_message?a=1&a=2&b=x%20y HTTP/1.1\r\nHost: api.test\r\nX-One: 1\r\nx-one: 2\r\n' +
      'Cookie: c=1; d=2\r\nUser-Agent: mta\r\nContent-Type: Application/JSON; charset=utf-8\r\n' +
      'Content-Length: 9\r\nConnection: close\r\n\r\n{"é": 1}',
  );
  await once(socket.resume(), 'end');
  const event = events[0];
  assert.ok(event !== undefined);
  const { requestContext, headers, ...rest } = event;
  assert.deepEqual(rest, {
    version: '2.0',
    routeKey: 'POST /delay_message',
    rawPath: '/delay_message',
    rawQueryString: 'a=1&a=2&b=x%20y',
    cookies: ['c=1', 'd=2'],
    queryStringParameters: { a: '1,2', b: 'x y' },
    body: '{"é": 1}',
    isBase64Encoded: false,
  });
  assert.equal(headers['x-one'], '1,2');
  assert.equal(headers['content-type'], 'Application/JSON; charset=utf-8');
  assert.equal(headers['cookie'], undefined);
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(requestContext.http.method, 'POST');
  assert.equal(requestContext.http.sourceIp, '127.0.0.1');
  assert.equal(requestContext.http.userAgent, 'mta');
  assert.ok(requestContext.timeEpoch >= before && requestContext.timeEpoch <= Date.now());
  assert.equal(requestContext.authorizer?.iam.userArn, CALLER.userArn);
});

test('text types arrive as text, everything else as base64', async (t) => {
  const { url, events } = await frontFor(t);
  const body = Buffer.from([0x7b, 0x7d, 0xff, 0x00]);
  const expected: [string | undefined, boolean][] = [
    ['text/plain', false],
    ['application/xml', false],
    ['application/javascript', false],
    ['application/problem+json', true],
    ['message/rfc822', true],
    ['application/vnd.delay-xfer.v1', true],
    ['application/x-www-form-urlencoded', true],
    [undefined, true],
  ];
  for (const [type] of expected) {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    await fetch(`${url}/delay_message`, { method: 'POST', body, headers });
  }
  assert.deepEqual(
    events.map((event) => event.isBase64Encoded),
    expected.map(([, base64]) => base64),
  );
  assert.equal(events.at(-1)?.body, 'e33/AA==');
});

test('a path parameter is decoded, and an exact route wins', async (t) => {
  const { url, events } = await frontFor(t);
  await fetch(`${url}/delay_message/a%2Fb`, { method: 'DELETE' });
  await fetch(`${url}/delay_message/uploads`, { method: 'POST', body: '{}' });
  assert.deepEqual(
    events.map((event) => [event.routeKey, event.pathParameters]),
    [
      ['DELETE /delay_message/{id}', { id: 'a/b' }],
      ['POST /delay_message/uploads', undefined],
    ],
  );
});

test('an unknown path or method is 404, an unsigned call 403, and open routes have no caller', async (t) => {
  const { url, events } = await frontFor(t);
  const missing = await fetch(`${url}/delay_message`);
  assert.equal(missing.status, 404);
  assert.deepEqual(await missing.json(), { message: 'Not Found' });
  await fetch(`${url}/health`);
  assert.equal(events[0]?.requestContext.authorizer, undefined);
  assert.equal(events[0]?.body, undefined);
  const other = await startApiFront({
    routes: [{ key: 'POST /delay_message', authorizer: 'iam' }],
    functionName: 'receive',
    functionTimeoutMs: 1_000,
    addresses: [{ host: '127.0.0.1', port: 0 }],
    handler: () => Promise.reject(new Error('must not be called')),
  });
  t.after(() => other.close());
  const forbidden = await fetch(`http://127.0.0.1:${other.addresses[0]?.port}/delay_message`, {
    method: 'POST',
  });
  assert.equal(forbidden.status, 403);
});

test('the response carries status, headers, cookies and base64 content', async (t) => {
  const result: APIGatewayProxyStructuredResultV2 = {
    statusCode: 429,
    headers: { 'Retry-After': 7, 'Content-Type': 'application/problem+json' },
    cookies: ['a=1', 'b=2'],
    body: '/wA=',
    isBase64Encoded: true,
  };
  const { url } = await frontFor(t, { handler: async () => result });
  const response = await fetch(`${url}/health`);
  assert.equal(response.status, 429);
  assert.equal(response.headers.get('retry-after'), '7');
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
  assert.deepEqual([...(await response.bytes())], [255, 0]);
});

test('a handler that throws is 500, one that overruns too, and a slow integration is 503', async (t) => {
  const faults: unknown[] = [];
  const onFault = (error: unknown) => faults.push(error);
  const throwing = await frontFor(t, { handler: () => Promise.reject(new Error('broken')), onFault });
  const thrown = await fetch(`${throwing.url}/health`);
  assert.equal(thrown.status, 500);
  assert.deepEqual(await thrown.json(), { message: 'Internal Server Error' });
  const never = { handler: () => new Promise<never>(() => {}), onFault };
  const overrunning = await frontFor(t, { ...never, functionTimeoutMs: 20 });
  assert.equal((await fetch(`${overrunning.url}/health`)).status, 500);
  assert.deepEqual(
    faults.map((error) => (error instanceof Error ? error.message : error)),
    ['broken', 'receive did not end within 0.02 s'],
  );
  const slow = await frontFor(t, { ...never, integrationTimeoutMs: 20 });
  const late = await fetch(`${slow.url}/health`);
  assert.equal(late.status, 503);
  assert.deepEqual(await late.json(), { message: 'Service Unavailable' });
});

test('over 6 MB as an event is 413 before the function, over 10 MB before anything', async (t) => {
  const { url, events } = await frontFor(t);
  const post = (sizeBytes: number) =>
    fetch(`${url}/delay_message`, { method: 'POST', body: Buffer.alloc(sizeBytes) });
  assert.equal((await post(4_700_000)).status, 202);
  const large = await post(4_720_000);
  assert.equal(large.status, 413);
  assert.deepEqual(await large.json(), { message: 'Request Too Long' });
  const huge = await post(10 * 1024 * 1024 + 1);
  assert.equal(huge.status, 413);
  assert.deepEqual(await huge.json(), { message: 'Request Entity Too Large' });
  assert.equal(events.length, 1);
});

test('the context counts down from the function timeout, whatever the wall clock does', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
  const remaining: number[] = [];
  const { url } = await frontFor(t, {
    handler: async (_event, context) => {
      t.mock.timers.setTime(1_900_000_000_000);
      remaining.push(context.getRemainingTimeInMillis());
      return { statusCode: 200 };
    },
  });
  await fetch(`${url}/health`);
  assert.ok((remaining[0] ?? 0) > 28_000 && (remaining[0] ?? 0) <= 29_000, String(remaining));
});

test('closing answers the request under way, and a taken port is refused', async (t) => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const { front, url } = await frontFor(t, {
    handler: async () => {
      started.resolve();
      await release.promise;
      return { statusCode: 200, body: 'late' };
    },
  });
  await assert.rejects(frontFor(t, { addresses: front.addresses }), { code: 'EADDRINUSE' });
  const answer = fetch(`${url}/health`);
  await started.promise;
  const closed = front.close();
  release.resolve();
  assert.equal(await (await answer).text(), 'late');
  await closed;
});
