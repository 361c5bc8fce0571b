import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverBatch } from '../../shared/queue/deliver.ts';
import type { Egress } from '../../shared/queue/site-run.ts';
import { formatTimer, timerFor } from '../../shared/queue/timer.ts';
import type { Hop, Router } from '../../shared/routing/router.ts';
import type { SmtpClient } from '../../shared/smtp/client.ts';
import { deliveryItem, NOW } from './queue-fixtures.ts';
import { delivered, stage, terms } from './queue-site-stage.ts';

/** What `opened` is after a batch with one message for each of two domains, routed so. */
async function openedFor(
  route: (domain: string) => readonly Hop[],
  site = 'mx.example.net',
  more: Partial<Pick<Egress, 'sessionTermsFor' | 'sessionsFor'>> & {
    readonly smtp?: (place: ReturnType<typeof stage>) => SmtpClient;
  } = {},
) {
  const place = stage(['m1', 'm2'], () => delivered);
  for (const [id, domain] of [
    ['m1', 'a.example'],
    ['m2', 'b.example'],
  ] as const) {
    const item = deliveryItem({}, { key: { credential: 'acme', id, chunk: 0 }, rev: 1 });
    const facts = { ...item.delivery.facts, domain };
    place.items.set(id, { ...item, delivery: { ...item.delivery, facts } });
  }
  const tls = { mode: 'no', verify: false } as const;
  const router: Router = { route: async (domain) => ({ kind: 'hops', site, hops: route(domain), tls }) };
  const records = [...place.items.values()].map((item) => ({
    messageId: item.key.id,
    receipt: 'r',
    body: formatTimer(timerFor(item)),
    receiveCount: 1,
  }));
  const invocation = { deadlineMs: NOW + 900_000, signal: new AbortController().signal };
  const smtp = more.smtp?.(place) ?? place.deps.smtp;
  await deliverBatch({ ...place.deps, ...more, smtp, router }, records, invocation);
  assert.deepEqual(
    ['m1', 'm2'].map((id) => place.state(id)?.state),
    ['finished', 'finished'],
  );
  return place.opened.toSorted();
}

test('domains with the same hosts share a session', async () => {
  const hop: Hop = { host: 'good.example.net', address: '192.0.2.2', port: 25, source: 'mx' };
  assert.deepEqual(await openedFor(() => [hop]), ['good.example.net']);
});

test('domains whose routes the operator ordered differently share no session', async () => {
  const hop = (host: string): Hop => ({ host, address: '192.0.2.1', port: 25, source: 'routes' });
  const [eu, us] = [hop('good-eu'), hop('good-us')];
  const route = (domain: string) => (domain === 'a.example' ? [eu, us] : [us, eu]);
  assert.deepEqual(await openedFor(route, 'smtp://good-(eu|us)'), ['good-eu', 'good-us']);
});

const GOOD: Hop = { host: 'good.example.net', address: '192.0.2.2', port: 25, source: 'mx' };

test('domains with the same hosts share no session that would be led differently', async () => {
  const sessionTermsFor = (domain: string) => terms(2, `out.${domain}`);
  assert.deepEqual(await openedFor(() => [GOOD], 'mx.example.net', { sessionTermsFor }), [
    'good.example.net',
    'good.example.net',
  ]);
});

test('domains with the same hosts have as many sessions at once as the strictest of them allows', async () => {
  for (const [differ, allowed, most] of [
    [false, [5, 5], 2],
    [false, [5, 1], 1],
    [true, [5, 5], 2],
    [true, [5, 1], 1],
  ] as const) {
    let open = 0;
    let highest = 0;
    const smtp = (place: ReturnType<typeof stage>): SmtpClient => ({
      async open(target) {
        open += 1;
        highest = Math.max(highest, open);
        for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
        const session = place.sessionTo(target);
        return {
          kind: 'opened',
          session: {
            ...session,
            async quit() {
              open -= 1;
            },
          },
        };
      },
    });
    await openedFor(() => [GOOD], 'mx.example.net', {
      sessionTermsFor: (domain) => terms(2, differ ? `out.${domain}` : 'out.example.com'),
      sessionsFor: (domain) => allowed[domain === 'a.example' ? 0 : 1],
      smtp,
    });
    assert.equal(highest, most, `${differ} ${allowed}`);
  }
});

test('hosts that the source address cannot reach are not tried', async () => {
  const site = stage(['m1'], () => delivered);
  const from = (localAddress: string) => ({
    ...terms(2),
    opening: { ...terms(2).opening, localAddress },
  });
  const six: Hop = { ...GOOD, host: 'good-six', address: '2001:db8::2' };
  await site.run([GOOD, six], 2, { terms: from('2001:db8::1') });
  assert.deepEqual(site.opened, ['good-six']);
  const other = stage(['m1'], () => delivered);
  await other.run([GOOD], 2, { terms: from('2001:db8::1') });
  assert.deepEqual(other.opened, []);
  assert.equal(
    other.state('m1')?.lastReply?.text,
    'no host of the site has an address that 2001:db8::1 (Bind_Address) can reach',
  );
});

test('a session that has named as many recipients as it may gets no further message', async () => {
  const site = stage(['m1', 'm2', 'm3'], () => delivered);
  await site.run([GOOD], 100, { terms: { ...terms(100), recipientsPerSession: 2 } });
  assert.deepEqual(site.opened, ['good.example.net', 'good.example.net']);
  assert.deepEqual(site.fates.toSorted(), ['m1', 'm2', 'm3']);
});
