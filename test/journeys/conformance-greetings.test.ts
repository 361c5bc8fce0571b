// Hosts that take no mail at all (RFC 7504), and those that refuse us alone (RFC 5321 §3.1): what their greeting
// means for the mail.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { DnsRecords } from '../../local/dns.ts';
import { SINK_ZONE } from '../../local/sink-zone.ts';
import { assertQuiet } from './inventory.ts';
import { advanceTo, arrived, delivery, letter, message, steady, told } from './transfers.ts';
import { startWorld, type World } from './world.ts';

const RUDE = '127.0.0.77';

const ZONE: DnsRecords = {
  ...SINK_ZONE,
  records: {
    ...SINK_ZONE.records,
    'rude.sink.test': [{ type: 'A', data: RUDE }],
    'half-rude.test': [
      { type: 'MX', preference: 10, exchange: 'rude.sink.test' },
      { type: 'MX', preference: 20, exchange: 'mx1.sink.test' },
    ],
    'rude.test': [{ type: 'MX', preference: 10, exchange: 'rude.sink.test' }],
  },
};

/** A host beside the world's others that greets with these replies, one for each connection, and closes. */
async function startRudeHost(world: World, ...greetings: readonly string[]) {
  const heard: string[] = [];
  const left = [...greetings];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (octets) => heard.push(octets.toString('latin1').trimEnd()));
    socket.end(`${left.shift() ?? '421 4.3.2 enough'}\r\n`);
  });
  server.listen(world.sink.port, RUDE);
  await once(server, 'listening');
  return { heard, [Symbol.asyncDispose]: async () => void server.close() };
}

test('a host that greets with 521 leaves the mail to the next MX, in the same attempt', async () => {
  await using world = await startWorld({ random: steady(), zone: ZONE });
  await using rude = await startRudeHost(world, '521 rude.sink.test does not accept mail');
  await world.post(message('half', ['ok@half-rude.test']));
  await world.deliver();
  assert.deepEqual(told(world, 'half').slice(1), ['Delivery ok@half-rude.test 250 final 1']);
  assert.deepEqual(arrived(world, 'ok@half-rude.test'), [letter('half')]);
  assert.deepEqual(
    rude.heard.filter((said) => said !== 'QUIT'),
    [],
  );
  await assertQuiet(world);
});

test('mail whose only host greets with 521 or 554 waits, and nobody is bounced by it', async () => {
  await using world = await startWorld({ random: steady(), zone: ZONE });
  await using _rude = await startRudeHost(world, '521 no mail here', '554 5.7.1 your address is on a list');
  await world.post(message('waits', ['anyone@rude.test']));
  await world.deliver();
  advanceTo(world, (await delivery(world, 'waits')).dueAtMs);
  await world.deliver();
  assert.deepEqual(told(world, 'waits').slice(1), [
    'TransientFailure anyone@rude.test 521 greeting 1',
    'TransientFailure anyone@rude.test 554 greeting 2',
  ]);
  const { state, lastReply } = await delivery(world, 'waits');
  assert.equal(state, 'open');
  assert.deepEqual([lastReply?.code, lastReply?.text], [554, 'your address is on a list']);
});
