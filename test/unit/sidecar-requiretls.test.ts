import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../sidecar/clock.ts';
import { ContentWriter } from '../../sidecar/intake/content.ts';
import { handIn } from '../../sidecar/intake/hand-in.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import type { XferOut } from '../../sidecar/log.ts';
import { logTo } from '../../sidecar/log.ts';
import { createJointAnswer } from '../../sidecar/push/joint-answer.ts';
import type { Mode, Target } from '../../sidecar/routing/targets.ts';
import { readTargets } from '../../sidecar/routing/targets.ts';
import { configurationOf } from '../dialogs/sidecar-fixture.ts';

/** What a client hears of a message with REQUIRETLS on its way to these routes. */
async function reply(routes: string, mode: Mode, requireTls = true, standIn = ''): Promise<[string, number]> {
  const found = readTargets(
    configurationOf(`
Delayed_Reroute_Domain = "one.test"
Domain one.test { Delivery_Method = "delay_xfer" Routes = ( ${routes} ) Delayed_Reroute_Domain = ${standIn === '' ? '"disabled"' : '"two.test"'} }
${standIn === '' ? '' : `Domain two.test { Delivery_Method = "delay_xfer" Routes = ( ${standIn} ) Delayed_Reroute_Domain = "disabled" }`}`),
  );
  if (!found.ok) throw new Error('the configuration has faults');
  const target: Target =
    found.targets.all.find(({ domain }) => domain === 'one.test') ?? assert.fail('no target');
  const records: XferOut[] = [];
  const log = logTo(
    (record) => void (record.type === 'XferOut' && records.push(record)),
    () => 0,
  );
  const outbox = {
    add: ({ settle }: { settle(result: object): unknown }) =>
      void settle({ ending: 'accepted', reason: '', withdrawal: null, route: null, tries: 1, batch: 1 }),
    takeBack: async () => 'withdrawn' as const,
  };
  const joint = createJointAnswer();
  const writer = new ContentWriter(new MemoryBudget(1_000));
  const handed = await handIn(
    { outboxes: new Map([[target, outbox]]), clock: systemClock, log },
    { mode, target },
    {
      id: 'an-id',
      envelope: {
        sender: '',
        recipients: [{ address: 'a@example.net' }],
        body: '7BIT',
        smtputf8: false,
        requireTls,
      },
      sizeBytes: 0,
      attempts: 1,
      upload: false,
      meta: {},
    },
    { client: { address: '127.0.0.1', name: 'mta', forwarded: new Map() }, content: await writer.finish() },
    new AbortController().signal,
    joint,
  );
  await joint.end();
  assert.equal(records.length, 1);
  return [`${handed.reply.code} ${handed.reply.enhanced} ${handed.reply.text}`, handed.result.tries];
}

test('a message with REQUIRETLS goes to no receiver in clear, and other mail does', async () => {
  const text = 'REQUIRETLS: a route to one.test has no TLS';
  const clear = '"xfer://receiver.example.com"';
  const secure = '"xfer://receiver.example.com?port=443"';
  assert.deepEqual(await reply(clear, 'delayed'), [`451 4.7.30 ${text}`, 0]);
  assert.deepEqual(await reply(clear, 'rerouted'), [`550 5.7.30 ${text}`, 0]);
  assert.deepEqual(await reply(`${secure} ${clear}`, 'delayed'), [`451 4.7.30 ${text}`, 0]);
  assert.deepEqual(await reply(secure, 'delayed', true, clear), [`451 4.7.30 ${text}`, 0]);
  const accepted = ['250 2.0.0 an-id accepted', 1];
  assert.deepEqual(await reply(secure, 'delayed'), accepted);
  assert.deepEqual(await reply('"xfer://receiver.example.com?port=8443&tls=1"', 'delayed'), accepted);
  assert.deepEqual(await reply('"xfer://127.0.0.1?port=8080"', 'delayed'), accepted);
  assert.deepEqual(await reply(clear, 'delayed', false), accepted);
});
