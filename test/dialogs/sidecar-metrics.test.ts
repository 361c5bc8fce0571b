import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { REFUSAL_REASONS } from '../../sidecar/intake/refusals.ts';
import { type SidecarLimits, SidecarStartError } from '../../sidecar/start.ts';
import { closedPort, delayedTo, type Fixture, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import {
  askAt,
  FRAMES,
  frame,
  type HttpAsk,
  type HttpFixture,
  httpSidecarFor,
} from './sidecar-http-fixture.ts';
import { accept, status, verdicts } from './sidecar-receiver.ts';
import { deliver } from './sidecar-smtp-client.ts';

const DOCUMENT = readFileSync(new URL('../../docs/sidecar.md', import.meta.url), 'utf8');

async function scrape(port: number): Promise<string> {
  const answer = await askAt(port, { method: 'GET', path: '/metrics' });
  assert.equal(answer.status, 200);
  assert.match(String(answer.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  return answer.body.toString();
}

function metricsPort({ sidecar }: Fixture): number {
  return sidecar.addresses.find(({ kind }) => kind === 'metrics')?.port ?? 0;
}

function sampleOf(text: string, sample: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

function withMetrics(t: TestContext, configuration: string, limits: Partial<SidecarLimits> = {}) {
  return httpSidecarFor(t, `${configuration}\nMetrics_Listen = "127.0.0.1:0"`, { limits });
}

test('what was handed over, and what stands in the way, is told to Prometheus', async (t) => {
  const receiver = await receiverFor(t);
  const closed = await closedPort();
  const sidecar = await withMetrics(t, delayedTo([closed, receiver.port]));
  const port = metricsPort(sidecar);
  receiver.script('POST', [
    accept,
    verdicts(({ ids }) =>
      ids.map((id) => ({
        id,
        status: 'refused',
        reply: { code: 552, enhanced: '5.3.4', text: 'too large' },
      })),
    ),
    status(401),
  ]);
  assert.match(await deliver(sidecar.port, 'a@example.net', 'Subject: one\r\n\r\n'), /^250/);
  assert.match(await deliver(sidecar.port, 'a@example.net', 'Subject: two\r\n\r\n'), /^451/);
  assert.equal((await sidecar.transfer(frame('three'))).status, 503);
  await sidecar.transfers(3);
  const text = await scrape(port);
  const name = 'delay_xfer_sidecar_';
  const up = `xfer://127.0.0.1:${receiver.port}`;
  const samples: [string, number][] = [
    ['messages_total{mode="delayed",verdict="accepted"}', 1],
    ['messages_total{mode="delayed",verdict="refused"}', 1],
    ['messages_total{mode="delayed",verdict="untaken"}', 1],
    ['message_bytes_total{mode="delayed",verdict="accepted"}', 16],
    ['replies_total{code="250"}', 1],
    ['replies_total{code="451"}', 2],
    ['hand_over_seconds_count{mode="delayed"}', 3],
    ['notices_total{code="route-down",level="warn"}', 1],
    ['notices_total{code="receiver-refuses-us",level="error"}', 1],
    [`route_up{route="${up}"}`, 1],
    [`route_up{route="xfer://127.0.0.1:${closed}"}`, 0],
    [`push_answers_total{route="${up}",status="200"}`, 2],
    [`push_answers_total{route="${up}",status="401"}`, 1],
    [`push_seconds_count{route="${up}",outcome="answered"}`, 3],
    ['transfers_in_flight{queue="xfer.test"}', 0],
    ['messages_waiting{queue="xfer.test"}', 0],
    [`connections{listener="SMTP on 127.0.0.1:${sidecar.port}"}`, 0],
    ['held_bytes', 0],
    ['held_bytes_limit', 268_435_456],
  ];
  for (const [sample, value] of samples) assert.equal(sampleOf(text, name + sample), value, sample);
});

test('health is 503 while nothing can be handed over', async (t) => {
  const receiver = await receiverFor(t);
  const up = await withMetrics(t, delayedTo([receiver.port]));
  const well = await askAt(metricsPort(up), { method: 'GET', path: '/health' });
  assert.deepEqual([well.status, well.json], [200, { status: 'up' }]);
  const down = await withMetrics(t, delayedTo([await closedPort()]));
  await down.transfer(frame('x'));
  const ill = await askAt(metricsPort(down), { method: 'GET', path: '/health' });
  assert.deepEqual([ill.status, ill.json], [503, { status: 'no-route' }]);
  const page = await askAt(metricsPort(up), {
    method: 'GET',
    path: '/metrics',
    headers: { host: 'evil.example' },
  });
  assert.equal(page.status, 403);
});

test('metrics are told to this machine alone', async (t) => {
  const receiver = await receiverFor(t);
  await assert.rejects(
    sidecarFor(t, `${delayedTo([receiver.port])}\nMetrics_Listen = "0.0.0.0:9325"`),
    (error) =>
      error instanceof SidecarStartError &&
      /Metrics_Listen "0\.0\.0\.0:9325" would be reachable/.test(error.message),
  );
});

test('every metric stands in the page on the sidecar, and nothing else does', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await withMetrics(t, delayedTo([receiver.port]));
  const text = await scrape(metricsPort(sidecar));
  const exposed = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, each]) => each);
  const section = DOCUMENT.split(/^## /m).find((each) => each.startsWith('Metrics\n')) ?? '';
  const told = [...section.matchAll(/^\| `(\w+_\w+)`/gm)].map(([, each]) => each);
  assert.deepEqual(told.toSorted(), exposed.toSorted());
});

test('what is turned away before a hand-over is counted by its listener and its reason', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await withMetrics(t, delayedTo([receiver.port]), { maxHeldBytes: 1000 });
  const refused = async (status: number, ask: HttpAsk): Promise<void> =>
    assert.equal((await sidecar.ask(ask)).status, status);
  const headers = { 'content-type': FRAMES };
  await refused(403, { headers: { ...headers, origin: 'http://localhost' }, body: frame('page') });
  await refused(403, { headers: { ...headers, host: 'evil.example' }, body: frame('name') });
  await refused(413, { headers: { 'content-type': 'application/json' }, body: 'x'.repeat(15_000_000) });
  await refused(415, { headers: { 'content-type': 'text/plain' }, body: 'x' });
  await refused(400, { headers, body: 'x\n' });
  await refused(404, { method: 'GET', path: '/' });
  await refused(405, { method: 'GET', path: '/delay_message' });
  await refused(429, { headers, body: frame('large', {}, 'x'.repeat(5000)) });
  const down = await withMetrics(t, delayedTo([await closedPort()]));
  await down.transfer(frame('first'));
  assert.equal((await down.transfer(frame('second'))).status, 503);
  const counted = async (fixture: HttpFixture, reason: string): Promise<number | undefined> => {
    const labels = `listener="HTTP on 127.0.0.1:${fixture.httpPort}",reason="${reason}"`;
    return sampleOf(await scrape(metricsPort(fixture)), `delay_xfer_sidecar_refusals_total{${labels}}`);
  };
  const reasons: readonly (readonly [string, number])[] = [
    ['browser', 2],
    ['size', 1],
    ['request', 4],
    ['memory', 1],
    ['no-route', 0],
    ['relay', 0],
  ];
  for (const [reason, count] of reasons) assert.equal(await counted(sidecar, reason), count, reason);
  assert.equal(await counted(down, 'no-route'), 1);
  assert.equal(receiver.requests.length, 0);
});

test('every reason of a refusal stands in the page on the sidecar', () => {
  const row = DOCUMENT.split('\n').find((line) => line.startsWith('| `delay_xfer_sidecar_refusals_total`'));
  const section = DOCUMENT.split(/^## /m).find((each) => each.startsWith('Metrics\n')) ?? '';
  const told = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, each]) => each);
  assert.ok(row?.includes('`listener`, `reason`'));
  assert.deepEqual(told, [...REFUSAL_REASONS]);
});

test('what is called a total is a counter, and nothing else is', async (t) => {
  const receiver = await receiverFor(t);
  const sidecar = await withMetrics(t, delayedTo([receiver.port]));
  const text = await scrape(metricsPort(sidecar));
  const types = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name = '', type]) => ({ name, type }));
  assert.ok(types.length > 15);
  for (const { name, type } of types) assert.equal(type === 'counter', name.endsWith('_total'), name);
  const cpuSeconds = (scraped: string) => sampleOf(scraped, 'process_cpu_seconds_total') ?? 0;
  assert.ok(cpuSeconds(text) > 0);
  const { user, system } = process.cpuUsage();
  assert.ok(cpuSeconds(text) <= (user + system) / 1_000_000);
  assert.ok(cpuSeconds(await scrape(metricsPort(sidecar))) >= cpuSeconds(text));
});
