import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import type { Network } from '../../shared/config/networks.ts';
import { refuseRequest } from '../../sidecar/http/access.ts';
import type { TraceRecord } from '../../sidecar/trace.ts';
import { closedPort, delayedTo, receiverFor } from './sidecar-fixture.ts';
import { askAt, FRAMES, frame, httpSidecarFor } from './sidecar-http-fixture.ts';

async function answerTo(request: ClientRequest): Promise<readonly [number | undefined, string]> {
  const [response]: IncomingMessage[] = await once(request, 'response');
  const pieces: Buffer[] = [];
  for await (const piece of response ?? []) pieces.push(piece);
  return [response?.statusCode, Buffer.concat(pieces).toString()];
}

test('a body that breaks off hands nothing over, and gives its memory back', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, `${delayedTo([receiver.port])}\nMetrics_Listen = "127.0.0.1:0"`);
  const metrics = sidecar.sidecar.addresses.find(({ kind }) => kind === 'metrics')?.port ?? 0;
  const held = async (): Promise<number> => {
    const { body } = await askAt(metrics, { method: 'GET', path: '/metrics' });
    return Number(/^delay_xfer_sidecar_held_bytes (\d+)$/m.exec(body.toString())?.[1]);
  };
  const whole = frame('broken', {}, 'x'.repeat(100_000));
  const socket = connect(sidecar.httpPort, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `POST /delay_message HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${FRAMES}\r\nContent-Length: ${whole.length}\r\n\r\n`,
  );
  socket.write(whole.slice(0, 60_000));
  while ((await held()) === 0) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  while ((await held()) > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(receiver.requests.length, 0);
});

test('a connection goes on after a request that was refused before its body was read', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ports = new Set<number | undefined>();
  const ask = async (type: string, body: string): Promise<readonly [number | undefined, string]> => {
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
    const options = { host: '127.0.0.1', port: sidecar.httpPort, path: '/delay_message', method: 'POST' };
    const asked = httpRequest({ ...options, headers, agent });
    asked.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => ports.add(socket.localPort));
      else ports.add(socket.localPort);
    });
    const answer = answerTo(asked);
    asked.end(body);
    return await answer;
  };
  const [status] = await ask('text/plain', 'x'.repeat(500_000));
  assert.equal(status, 415);
  const [next, body] = await ask(FRAMES, frame('next'));
  assert.deepEqual([next, body], [200, '{"messages":[{"id":"next","status":"accepted"}]}']);
  assert.equal(ports.size, 1);
});

test('past the connection limit a client is asked to come back', async (t) => {
  const receiver = await receiverFor(t);
  const text = `Max_Inbound_Connections = 2\n${delayedTo([receiver.port])}`;
  const sidecar = await httpSidecarFor(t, text);
  const idle = [1, 2].map(() => connect(sidecar.httpPort, '127.0.0.1'));
  t.after(() => idle.forEach((socket) => void socket.destroy()));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  const answer = await sidecar.transfer(frame('third'));
  assert.deepEqual(
    [answer.status, answer.json['code'], answer.headers['retry-after'], answer.headers['connection']],
    [503, 'unavailable', '5', 'close'],
  );
});

test('strangers are not let in, and networks in Relay_Hosts are', () => {
  const settings = {
    hostName: 'sidecar.example.com',
    maxConnections: 10,
    relayHosts: [
      { text: '192.0.2.0/24', contains: (address: string) => address.startsWith('192.0.2.') },
    ] satisfies readonly Partial<Network>[],
  };
  const from = (remoteAddress: string, localAddress: string, host: string) =>
    refuseRequest(
      { headers: { host }, rawHeaders: ['Host', host], url: '/', socket: { remoteAddress, localAddress } },
      1,
      settings,
    )?.problem.detail;
  assert.equal(from('198.51.100.7', '203.0.113.1', 'mail.example.com'), '198.51.100.7 is not in Relay_Hosts');
  assert.equal(from('192.0.2.7', '203.0.113.1', 'mail.example.com'), undefined);
  assert.equal(from('203.0.113.1', '203.0.113.1', 'mail.example.com'), undefined);
  assert.equal(from('127.0.0.1', '127.0.0.1', 'localhost:8081'), undefined);
  assert.match(from('127.0.0.1', '127.0.0.1', 'mail.example.com') ?? '', /Host header/);
});

/** One of the machine's own that is not of its loopback interface: from there a client is a stranger. */
function outerAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
}

test('strangers who connect and say nothing shut nobody out', async (t) => {
  const outside = outerAddress();
  if (outside === undefined) {
    t.skip('this machine has no address beside the loopback interface');
    return;
  }
  const receiver = await receiverFor(t);
  const text = `Max_Inbound_Connections = 2\nMetrics_Listen = "127.0.0.1:0"\n${delayedTo([receiver.port])}`;
  const traced: TraceRecord[] = [];
  const sidecar = await httpSidecarFor(t, text, { trace: (record) => void traced.push(record) });
  const silent = Array.from({ length: 60 }, () =>
    connect({ host: '127.0.0.1', port: sidecar.httpPort, localAddress: outside }),
  );
  t.after(() => silent.forEach((socket) => void socket.destroy()));
  const heard = await Promise.all(silent.map((socket) => allOf(socket)));
  for (const each of heard) {
    assert.match(each, /^HTTP\/1\.1 403 Forbidden\r\n/);
    assert.ok(each.includes(`${outside} is not in Relay_Hosts`), each);
  }
  assert.equal((await sidecar.transfer(frame('own'))).status, 200);
  const shown = traced.filter((each) => each.type === 'HttpTrace' && each.peer === outside);
  assert.equal(shown.length, 60);
  const metrics = sidecar.sidecar.addresses.find(({ kind }) => kind === 'metrics')?.port ?? 0;
  const { body } = await askAt(metrics, { method: 'GET', path: '/metrics' });
  const name = `refusals_total{listener="HTTP on 127.0.0.1:${sidecar.httpPort}",reason="relay"}`;
  assert.ok(body.toString().includes(`${name} 60\n`));
});

async function allOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const piece of socket) text += piece;
  return text;
}

/** What the listener says to these lines; the connection ends behind them. */
async function said(port: number, lines: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write([...lines, 'Connection: close', '', ''].join('\r\n'));
  return await allOf(socket);
}

test('a client that waits to be told to go on hears a refusal that its headers alone earn, and nothing before it', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await httpSidecarFor(t, delayedTo([receiver.port]));
  const refused: readonly (readonly [number, readonly string[]])[] = [
    [415, ['Content-Type: text/plain', 'Content-Length: 100']],
    [415, [`Content-Type: ${FRAMES}`, 'Content-Encoding: br', 'Content-Length: 100']],
    [413, [`Content-Type: ${FRAMES}`, 'Content-Length: 68000000']],
    [400, ['Content-Type: message/rfc822', 'Content-Length: 100']],
  ];
  for (const [status, headers] of refused) {
    const start = ['POST /delay_message HTTP/1.1', 'Host: localhost', 'Expect: 100-continue'];
    const answer = await said(sidecar.httpPort, [...start, ...headers]);
    assert.equal(answer.slice(0, 12), `HTTP/1.1 ${status}`, headers.join('; '));
  }
  const asked = httpRequest({
    host: '127.0.0.1',
    port: sidecar.httpPort,
    path: '/delay_message',
    method: 'POST',
    headers: { 'content-type': FRAMES, expect: '100-continue' },
  });
  const answer = answerTo(asked);
  asked.flushHeaders();
  await once(asked, 'continue');
  asked.end(frame('wanted'));
  assert.deepEqual(await answer, [200, '{"messages":[{"id":"wanted","status":"accepted"}]}']);
});

test('health is told without a body to who asks with HEAD', async (t) => {
  const receiver = await receiverFor(t);
  const up = await httpSidecarFor(t, delayedTo([receiver.port]));
  const well = await up.ask({ method: 'HEAD', path: '/health' });
  assert.deepEqual([well.status, well.body.length, well.headers['content-length']], [200, 0, '15']);
  const down = await httpSidecarFor(t, delayedTo([await closedPort()]));
  await down.transfer(frame('x'));
  assert.equal((await down.ask({ method: 'HEAD', path: '/health' })).status, 503);
  const wrong = await up.ask({ method: 'DELETE', path: '/health' });
  assert.deepEqual([wrong.status, wrong.headers['allow']], [405, 'GET, HEAD']);
});

test('a request asks for one machine, and a target that names it goes before the Host header', async (t) => {
  const receiver = await receiverFor(t);
  const text = `${delayedTo([receiver.port])}\nMetrics_Listen = "127.0.0.1:0"`;
  const { sidecar } = await httpSidecarFor(t, text);
  const table: readonly (readonly [number, readonly string[]])[] = [
    [200, ['GET /health HTTP/1.1', 'Host: localhost']],
    [400, ['GET /health HTTP/1.1', 'Host: localhost', 'Host: localhost']],
    [400, ['GET /health HTTP/1.1', 'Host: localhost', 'host: evil.example']],
    [200, ['GET http://localhost/health HTTP/1.1', 'Host: localhost']],
    [200, ['GET HTTP://127.0.0.1:8081/health?x HTTP/1.1', 'Host: evil.example']],
    [403, ['GET http://evil.example/health HTTP/1.1', 'Host: localhost']],
    [403, ['GET http://localhost@evil.example/health HTTP/1.1', 'Host: localhost']],
    [404, ['GET http://localhost HTTP/1.1', 'Host: localhost']],
    [404, ['GET ftp://localhost/health HTTP/1.1', 'Host: localhost']],
  ];
  const ports = sidecar.addresses.filter(({ kind }) => kind === 'http' || kind === 'metrics');
  assert.equal(ports.length, 2);
  for (const { kind, port } of ports) {
    for (const [status, lines] of table) {
      const answer = await said(port, lines);
      assert.equal(answer.slice(0, 12), `HTTP/1.1 ${status}`, `${kind}: ${lines.join('; ')}`);
    }
  }
});
