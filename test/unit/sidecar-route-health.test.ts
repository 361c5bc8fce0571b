import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoute, type XferRoute } from '../../shared/config/routes.ts';
import { logTo, type Notice } from '../../sidecar/log.ts';
import { type Passage, RouteHealth } from '../../sidecar/push/route-health.ts';
import type { Target } from '../../sidecar/routing/targets.ts';

function route(text: string): XferRoute {
  const reading = parseRoute(text);
  assert.ok(reading.ok && reading.route.scheme === 'xfer');
  return reading.route;
}

function target(routes: readonly string[], more: Partial<Target> = {}): Target {
  return {
    domain: 'xfer.test',
    routes: routes.map(route),
    uri: '/delay_message',
    host: undefined,
    credentials: undefined,
    responseTimeoutMs: 10_000,
    hostFailureRetryMs: 5_000,
    handoffDeadlineMs: 120_000,
    ...more,
  };
}

function watched(): { readonly health: RouteHealth; readonly told: () => readonly string[] } {
  const notices: Notice[] = [];
  const log = logTo(
    (record) => record.type === 'Notice' && notices.push(record),
    () => 0,
  );
  return {
    health: new RouteHealth(log),
    told: () => notices.map(({ code, message }) => `${code}: ${message}`),
  };
}

function claim(health: RouteHealth, at: Target, nowMs: number): Passage {
  return health.claim(at, nowMs, new Set()) ?? assert.fail('no route is up');
}

/** One failed try after the other, each a second long and of a message of its own. */
function fail(health: RouteHealth, at: Target, tries: number, fromMs: number): void {
  for (let index = 0; index < tries; index += 1) {
    const startedAtMs = fromMs + index * 1_000;
    failWith(health, at, startedAtMs, [`m${startedAtMs}`]);
  }
}

function failWith(health: RouteHealth, at: Target, startedAtMs: number, ids: readonly string[]): void {
  claim(health, at, startedAtMs).failed(startedAtMs + 1_000, { startedAtMs, ids, reason: 'HTTP 503' });
}

test('a receiver that fails five tries in a row is closed for new mail, and asked again after the wait', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 4, 0);
  assert.equal(health.firstUp(at, 4_000), at.routes[0]);
  fail(health, at, 1, 4_000);
  assert.equal(health.firstUp(at, 5_001), undefined);
  assert.equal(health.whyDown(at), 'HTTP 503');
  assert.deepEqual(health.routes([at]), [{ route: 'xfer://r.example.com:8080', up: false }]);
  assert.equal(health.firstUp(at, 9_999), undefined);
  assert.equal(health.firstUp(at, 10_000), at.routes[0]);
  assert.deepEqual(told(), [
    'route-down: xfer://r.example.com:8080 takes no mail, 5 tries in a row: HTTP 503',
  ]);
});

test('after the wait one transfer tests the route alone; its success opens it for all', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 5, 0);
  const tester = claim(health, at, 10_000);
  assert.equal(health.firstUp(at, 10_001), undefined);
  assert.equal(health.claim(at, 10_001, new Set()), undefined);
  tester.answered();
  assert.equal(health.firstUp(at, 10_002), at.routes[0]);
  assert.deepEqual(health.routes([at]), [{ route: 'xfer://r.example.com:8080', up: true }]);
  assert.deepEqual(told().slice(1), ['route-up: xfer://r.example.com:8080 answers again']);
});

test('each test that fails doubles the wait, up to half a minute', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 5, 0);
  const waits: number[] = [];
  for (let nowMs = 5_000; waits.length < 5; ) {
    const fromMs = nowMs;
    while (health.firstUp(at, nowMs) === undefined) nowMs += 100;
    waits.push(nowMs - fromMs);
    claim(health, at, nowMs).failed(nowMs, { startedAtMs: nowMs, ids: ['m'], reason: 'HTTP 500' });
  }
  assert.deepEqual(waits, [5_000, 10_000, 20_000, 30_000, 30_000]);
  assert.equal(told().length, 1);
});

test('a test that ends without a word leaves the route to the next one', () => {
  const { health } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 5, 0);
  claim(health, at, 10_000).release();
  assert.equal(health.firstUp(at, 10_000), at.routes[0]);
});

test('a test that only shows the receiver to be there leaves the route to the next one, and closed until then', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 5, 0);
  const uploading = claim(health, at, 10_000);
  uploading.reached();
  assert.deepEqual(health.routes([at]), [{ route: 'xfer://r.example.com:8080', up: false }]);
  const tester = claim(health, at, 10_000);
  assert.equal(health.claim(at, 10_000, new Set()), undefined);
  tester.answered();
  assert.equal(told().length, 2);
});

test('a success in between, or failures of one moment, close nothing', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 4, 0);
  claim(health, at, 4_000).answered();
  fail(health, at, 4, 5_000);
  assert.equal(health.firstUp(at, 9_000), at.routes[0]);
  claim(health, at, 9_000).answered();
  for (let count = 0; count < 16; count += 1) {
    claim(health, at, 10_000).failed(10_050, { startedAtMs: 10_000, ids: ['m'], reason: 'socket hang up' });
  }
  assert.equal(health.firstUp(at, 10_051), at.routes[0]);
  assert.deepEqual(told(), []);
});

test('a message that alone fails again and again closes nothing, until others fail as well', () => {
  const { health, told } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  // With others, and later alone, as when its MTA comes again.
  for (const [index, ids] of [
    ['a', 'poison'],
    ['poison', 'b'],
    ['poison'],
    ['poison'],
    ['poison'],
  ].entries()) {
    failWith(health, at, index * 1_000, ids);
  }
  failWith(health, at, 300_000, ['poison']);
  assert.equal(health.firstUp(at, 301_000), at.routes[0]);
  assert.deepEqual(told(), []);
  failWith(health, at, 301_000, ['c']);
  assert.equal(health.firstUp(at, 302_000), undefined);
});

test('mail in doubt that its receiver answers opens a closed route', () => {
  const { health } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  const inDoubt = claim(health, at, 0);
  inDoubt.failed(1_000, { startedAtMs: 0, ids: ['m'], reason: 'HTTP 503' });
  fail(health, at, 4, 1_000);
  assert.equal(health.firstUp(at, 5_000), undefined);
  inDoubt.failed(6_000, { startedAtMs: 5_500, ids: ['m'], reason: 'HTTP 503' });
  assert.equal(health.firstUp(at, 10_000), at.routes[0], 'a repeat does not lengthen the wait');
  inDoubt.answered();
  assert.equal(health.firstUp(at, 7_000), at.routes[0]);
});

test('Retry-After lengthens the wait of a receiver that takes nothing, within half a minute', () => {
  const { health } = watched();
  const at = target(['xfer://r.example.com?port=8080']);
  fail(health, at, 4, 0);
  claim(health, at, 4_000).failed(5_000, {
    startedAtMs: 4_000,
    ids: ['m'],
    reason: 'HTTP 429',
    retryAfterMs: 600_000,
  });
  assert.equal(health.firstUp(at, 34_999), undefined);
  assert.equal(health.firstUp(at, 35_000), at.routes[0]);
});

test('what is known of a host holds for every target that names it, and not for another Host header', () => {
  const { health } = watched();
  const one = target(['xfer://R.example.com?port=8080']);
  const same = target(['xfer://r.example.com?port=8080'], { domain: 'same.test' });
  const virtual = target(['xfer://r.example.com?port=8080'], { host: 'other.example.com' });
  fail(health, one, 5, 0);
  assert.equal(health.firstUp(same, 5_000), undefined);
  assert.equal(health.firstUp(virtual, 5_000), virtual.routes[0]);
  claim(health, virtual, 5_000).unreachable(5_000, 'connect ECONNREFUSED');
  assert.equal(health.firstUp(virtual, 5_001), undefined);
  assert.equal(health.whyDown(virtual), 'connect ECONNREFUSED');
});

test('while one transfer tests the first route, the others go to the second', () => {
  const { health } = watched();
  const at = target(['xfer://r.example.com', 'xfer://s.example.com']);
  claim(health, at, 0).unreachable(0, 'connect ETIMEDOUT');
  assert.equal(health.firstUp(at, 4_999), at.routes[1]);
  const tester = claim(health, at, 5_000);
  assert.equal(tester.route, at.routes[0]);
  assert.equal(claim(health, at, 5_000).route, at.routes[1]);
  tester.unreachable(15_000, 'connect ETIMEDOUT');
  assert.equal(health.firstUp(at, 19_999), at.routes[1]);
});

test('when no route of a target is up, the next target of its chain is asked, and a circle has an end', () => {
  const { health } = watched();
  const second = target(['xfer://s.example.com'], { domain: 'second.test' });
  const first = target(['xfer://r.example.com'], { next: second });
  Object.assign(second, { next: first });
  claim(health, first, 0).unreachable(0, 'connect ECONNREFUSED');
  const passage = claim(health, first, 1);
  assert.deepEqual([passage.target.domain, passage.route], ['second.test', second.routes[0]]);
  passage.unreachable(1, 'connect ECONNREFUSED');
  assert.equal(health.firstUp(first, 2), undefined);
  assert.deepEqual(
    health.routes([first]).map(({ up }) => up),
    [false, false],
  );
});
