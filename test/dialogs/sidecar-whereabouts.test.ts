import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, sleep, systemClock } from '../../sidecar/clock.ts';
import { Whereabouts } from '../../sidecar/push/whereabouts.ts';
import { configurationOf, delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { createLedger } from './sidecar-ledger.ts';
import { fastClock, pusherFor, xferRoute } from './sidecar-push.ts';
import { type Answer, hang, startReceiver, status } from './sidecar-receiver.ts';
import { deliver } from './sidecar-smtp-client.ts';

/** Undefined after so many milliseconds. */
const pause = (delayMs: number) =>
  new Promise<undefined>((wake) => setTimeout(() => wake(undefined), delayMs));
const MAIL = 'Subject: hello\r\n\r\nHello.\r\n';
const TARGET = { domain: 'xfer.test' };
const ROUTE = xferRoute('xfer://r.example.com?port=8080');
const HOME = 'xfer.test xfer://r.example.com:8080';

test('an MTA that leaves and comes back at once does not hear 250 for mail that is withdrawn after it', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`]);
  let acceptFirst = (): void => undefined;
  let withdrawFirst = (): void => undefined;
  receiver.script(
    'POST',
    [
      (request, response) => {
        acceptFirst = () => ledger.honest(request, response);
      },
    ],
    ledger.honest,
  );
  receiver.script('DELETE', [
    (request, response) => {
      withdrawFirst = () => ledger.honest(request, response);
    },
  ]);
  const leaving = new AbortController();
  const first = push(MAIL, { gone: leaving.signal });
  await receiver.until('POST', 1);
  leaving.abort();
  acceptFirst();
  await receiver.until('DELETE', 1);
  const second = push(MAIL);
  // What comes with it goes through.
  assert.equal((await push('another\r\n')).ending, 'accepted');
  withdrawFirst();
  assert.deepEqual([(await first).ending, (await first).withdrawal], ['accepted', 'withdrawn']);
  const { ending, refusal } = await second;
  assert.deepEqual([ending, refusal?.code], ['refused', 451]);
  assert.deepEqual(
    receiver.requests.map(({ method }) => method),
    ['POST', 'DELETE', 'POST', 'POST'],
  );
  assert.deepEqual([...ledger.held().values()].map(String), ['another\r\n']);
});

test('a withdrawal that was given up is not done after its MTA came back and heard 250', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const clock = fastClock(20);
  // Time for one withdrawal alone.
  const target = { handoffDeadlineMs: 8_000, responseTimeoutMs: 8_000 };
  const { push } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], { clock, target });
  const leaving = new AbortController();
  receiver.script(
    'POST',
    [
      (request, response) => {
        leaving.abort();
        ledger.honest(request, response);
      },
    ],
    ledger.honest,
  );
  // A slow receiver that keeps to the patience it is told, and does the withdrawal as late as it may.
  let patienceEndMs = 0;
  const late: Answer = (request, response) => {
    const patienceMs = Number(request.headers['x-xfer-patience-ms'] ?? Number.NaN);
    patienceEndMs = clock.nowMs() + patienceMs;
    clock.after(patienceMs + 500, () => ledger.honest(request, response));
  };
  receiver.script('DELETE', [late], ledger.honest);
  const first = push(MAIL, { gone: leaving.signal });
  await receiver.until('DELETE', 1);
  const second = push(MAIL, { withinMs: 60_000 });
  const { ending, withdrawal } = await first;
  assert.deepEqual([ending, withdrawal], ['accepted', 'unconfirmed']);
  assert.equal((await second).ending, 'refused');
  assert.ok(clock.nowMs() > patienceEndMs, 'the repeat went out while a withdrawal could be done');
  assert.equal(ledger.held().size, 0);
  const sent = receiver.requests.find(({ method }) => method === 'DELETE');
  const patienceMs = Number(sent?.headers['x-xfer-patience-ms']);
  assert.ok(patienceMs > 6_000 && patienceMs <= 8_000);
});

test('doubt that no withdrawal ended is withdrawn when its MTA comes back, also by a request that was refused', async (t) => {
  const ledger = createLedger();
  const receiver = await receiverFor(t);
  const target = { handoffDeadlineMs: 8_000, responseTimeoutMs: 4_000 };
  const { push, notices } = pusherFor(t, [`xfer://127.0.0.1?port=${receiver.port}`], {
    clock: fastClock(20),
    target,
  });
  receiver.script('POST', [], ledger.storing(hang));
  receiver.script('DELETE', [], hang);
  const first = await push(MAIL);
  assert.deepEqual([first.ending, first.withdrawal], ['in-doubt', 'unconfirmed']);
  receiver.script('POST', [], status(401));
  receiver.script('DELETE', [], ledger.honest);
  const second = await push(MAIL, { withinMs: 60_000 });
  assert.deepEqual([second.ending, second.withdrawal], ['untaken', 'withdrawn']);
  assert.equal(ledger.held().size, 0);
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['withdrawal-unconfirmed', 'receiver-refuses-us'],
  );
});

test('doubt is withdrawn when its MTA comes back while the receiver is down, as soon as it is up again', async (t) => {
  const ledger = createLedger();
  const receiver = await startReceiver();
  const spare = await receiverFor(t);
  const target = { handoffDeadlineMs: 30_000, responseTimeoutMs: 15_000, hostFailureRetryMs: 3_600_000 };
  const { push, exchanges } = pusherFor(
    t,
    [receiver.port, spare.port].map((port) => `xfer://127.0.0.1?port=${port}`),
    { clock: fastClock(20), target },
  );
  receiver.script('POST', [], (request, response) => {
    ledger.storing(() => response.socket?.destroy())(request, response);
    void receiver.close();
  });
  const first = await push(MAIL);
  assert.deepEqual([first.ending, first.withdrawal], ['in-doubt', 'unconfirmed']);
  const asked = exchanges.length;
  const second = push(MAIL, { withinMs: 60_000 });
  while (exchanges.length === asked && (await Promise.race([second, pause(5)])) === undefined);
  const back = await startReceiver(receiver.port);
  t.after(() => back.close());
  back.script('DELETE', [], ledger.honest);
  const { ending, withdrawal, tries } = await second;
  assert.deepEqual([ending, withdrawal, tries], ['no-route', 'withdrawn', 0]);
  assert.equal(ledger.held().size, 0);
  assert.equal(spare.requests.length, 0);
});

test('rerouted mail in doubt comes back to the receiver that may have it, though another is up', async (t) => {
  const ledger = createLedger();
  const clock = fastClock(20);
  const receiver = await startReceiver();
  const spare = await receiverFor(t);
  const { push } = pusherFor(
    t,
    [receiver.port, spare.port].map((port) => `xfer://127.0.0.1?port=${port}`),
    { clock, target: { handoffDeadlineMs: 8_000, responseTimeoutMs: 4_000 } },
  );
  receiver.script('POST', [], ledger.storing(hang));
  assert.equal((await push(MAIL, { mode: 'rerouted' })).ending, 'in-doubt');
  await receiver.close();
  const again = await push(MAIL, { mode: 'rerouted' });
  assert.deepEqual([again.ending, again.withdrawal], ['no-route', null]);
  assert.equal((await push('another\r\n', { mode: 'rerouted' })).route, `xfer://127.0.0.1:${spare.port}`);
  const back = await startReceiver(receiver.port);
  t.after(() => back.close());
  back.script('POST', [], ledger.honest);
  // Host_Failure_Retry is over.
  await sleep(clock, 6_000);
  assert.equal((await push(MAIL, { mode: 'rerouted' })).ending, 'duplicate');
  assert.deepEqual([...ledger.held().values()].map(String), [MAIL]);
  assert.deepEqual(
    spare.requests.map(({ frames }) => frames.map(({ content }) => String(content))),
    [['another\r\n']],
  );
});

test('rerouted mail waits 12 hours for a receiver that may have it and is gone, and then goes to another', async (t) => {
  const receiver = await startReceiver();
  const spare = await receiverFor(t);
  let laterMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => Date.now() + laterMs };
  const routes = [receiver.port, spare.port].map((port) => `xfer://127.0.0.1?port=${port}`);
  const target = { handoffDeadlineMs: 2_000, responseTimeoutMs: 1_000 };
  const { push, notices } = pusherFor(t, routes, { clock, target });
  receiver.script('POST', [], hang);
  assert.equal((await push(MAIL, { mode: 'rerouted' })).ending, 'in-doubt');
  await receiver.close();
  for (const hours of [6, 11]) {
    laterMs = hours * 3_600_000;
    assert.equal((await push(MAIL, { mode: 'rerouted', withinMs: 60_000 })).ending, 'no-route');
  }
  laterMs = 12.1 * 3_600_000;
  const last = await push(MAIL, { mode: 'rerouted', withinMs: 60_000 });
  assert.deepEqual([last.ending, last.route], ['accepted', `xfer://127.0.0.1:${spare.port}`]);
  const told = notices
    .filter(({ level }) => level === 'error')
    .map(({ code, message }) => `${code}: ${message}`);
  assert.match(
    told.join(),
    /^double-possible: \S+ may be at xfer:\/\/127\.0\.0\.1:\d+, which is down for hours/,
  );
});

test('a reload does not forget which receiver may have a message', async (t) => {
  const ledger = createLedger();
  const receiver = await startReceiver();
  const spare = await receiverFor(t);
  const settings = delayedTo(
    [receiver.port, spare.port],
    'Handoff_Deadline = 8  Delivery_Response_Timeout = 4000',
  ).replace('Delayed_Reroute_Domain', 'Reroute_Domain');
  const { port, sidecar } = await sidecarFor(t, settings, { clock: fastClock(20) });
  receiver.script('POST', [], ledger.storing(hang));
  assert.match(await deliver(port, 'a@example.net', MAIL), /^451 4\.4\.2 /);
  await receiver.close();
  const changed = settings.replace('Handoff_Deadline = 8', 'Handoff_Deadline = 9');
  const reload = await sidecar.reload({ ok: true, configuration: configurationOf(changed) });
  assert.equal(reload.ok, true);
  assert.match(await deliver(port, 'a@example.net', MAIL), /^451 4\.4\.1 no route to xfer\.test is up/);
  assert.match(await deliver(port, 'a@example.net', 'another\r\n'), /^250 /);
  assert.deepEqual(
    spare.requests.map(({ frames }) => frames.map(({ content }) => String(content))),
    [['another\r\n']],
  );
});

test('mail that a receiver did not take may go to another when its MTA comes back', async (t) => {
  const receiver = await startReceiver();
  const spare = await receiverFor(t);
  const { push } = pusherFor(
    t,
    [receiver.port, spare.port].map((port) => `xfer://127.0.0.1?port=${port}`),
  );
  receiver.script('POST', [], status(403, { connection: 'close' }));
  assert.equal((await push(MAIL)).ending, 'untaken');
  await receiver.close();
  const again = await push(MAIL);
  assert.deepEqual([again.ending, again.route], ['accepted', `xfer://127.0.0.1:${spare.port}`]);
});

test('the latest twenty thousand ids are remembered', () => {
  const whereabouts = new Whereabouts();
  for (let index = 0; index <= 20_000; index += 1) whereabouts.leaveFor(`id-${index}`, TARGET, ROUTE);
  assert.deepEqual(
    ['id-0', 'id-1', 'id-20000'].map((id) => whereabouts.homeOf(id)),
    [undefined, HOME, HOME],
  );
  whereabouts.forget('id-1');
  assert.equal(whereabouts.homeOf('id-1'), undefined);
});
