import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { SidecarStartError } from '../../sidecar/start.ts';
import { closedPort, delayedTo, type Fixture, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { askAt, frame, httpSidecarFor } from './sidecar-http-fixture.ts';
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

function withMetrics(t: TestContext, configuration: string) {
  return httpSidecarFor(t, `${configuration}\nMetrics_Listen = "127.0.0.1:0"`);
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
  const told = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, each]) => each);
  assert.deepEqual(told.toSorted(), exposed.toSorted());
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
