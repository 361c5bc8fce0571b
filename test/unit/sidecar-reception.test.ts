import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Network, parseNetwork } from '../../shared/config/networks.ts';
import { peerOf } from '../../sidecar/intake/admission.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { replyFor } from '../../sidecar/intake/replies.ts';
import type { Ending } from '../../sidecar/log.ts';
import type { HandOverResult } from '../../sidecar/push/held-message.ts';
import type { Mode } from '../../sidecar/routing/targets.ts';
import { refuseConnection } from '../../sidecar/smtp/listener.ts';

function reply(mode: Mode, ending: Ending, refusal?: HandOverResult['refusal']): string {
  const result: HandOverResult = {
    ending,
    ...(refusal !== undefined && { refusal }),
    reason: 'the reason',
    withdrawal: null,
    route: null,
    tries: 1,
    batch: 1,
  };
  const { code, enhanced, text } = replyFor(result, mode, 'ID');
  return `${code} ${enhanced ?? '-'} ${text}`;
}

test('every ending has its reply, and none of ours bounces mail', () => {
  for (const mode of ['delayed', 'rerouted'] as const) {
    assert.equal(reply(mode, 'accepted'), '250 2.0.0 ID accepted');
    assert.equal(reply(mode, 'duplicate'), '250 2.0.0 ID accepted before');
    assert.equal(reply(mode, 'no-route'), '451 4.4.1 the reason');
    assert.equal(reply(mode, 'untaken'), '451 4.3.0 not taken: the reason');
    assert.equal(reply(mode, 'in-doubt'), '451 4.4.2 no verdict in time: the reason');
  }
});

test('a refusal of delayed mail is always transient, one of rerouted mail keeps its class', () => {
  const table = [
    [{ code: 451, enhanced: '4.7.1', text: 'later' }, '451 4.7.1 later', '451 4.7.1 later'],
    [{ code: 452, text: 'full' }, '452 - full', '452 - full'],
    [
      { code: 552, enhanced: '5.3.4', text: 'large' },
      '451 4.3.4 refused by the receiver: 552 5.3.4 large',
      '552 5.3.4 large',
    ],
    [{ code: 550, text: 'no' }, '451 4.3.0 refused by the receiver: 550 no', '550 - no'],
    [
      { code: 421, enhanced: '4.3.2', text: 'bye' },
      '451 4.3.2 refused by the receiver: 421 4.3.2 bye',
      '451 4.3.2 refused by the receiver: 421 4.3.2 bye',
    ],
  ] as const;
  for (const [refusal, delayed, rerouted] of table) {
    assert.equal(reply('delayed', 'refused', refusal), delayed);
    assert.equal(reply('rerouted', 'refused', refusal), rerouted);
  }
});

test('a client from another machine is let in by Relay_Hosts alone, and no client past the connection limit', () => {
  const network = parseNetwork('192.0.2.0/24');
  const relayHosts: readonly Network[] = network === undefined ? [] : [network];
  const refusal = (remoteAddress: string, open = 0, localAddress = '198.51.100.1'): string | undefined =>
    refuseConnection(
      peerOf({ remoteAddress, localAddress }, relayHosts),
      { connections: open, strangers: 0, fromThere: 0 },
      { maxConnections: 2 },
    )?.text;
  assert.equal(refusal('127.0.0.1'), undefined);
  assert.equal(refusal('::ffff:127.0.0.1'), undefined);
  assert.equal(refusal('192.0.2.7'), undefined);
  assert.equal(refusal('::ffff:192.0.2.7'), undefined);
  assert.equal(refusal('198.51.100.1'), undefined, 'the machine itself, by its own address');
  assert.equal(refusal('203.0.113.5'), '203.0.113.5 is not in Relay_Hosts');
  assert.equal(refusal('127.0.0.1', 1), undefined);
  assert.equal(refusal('127.0.0.1', 2), '2 connections are open already; try again');
});

test('memory is taken as a whole or not at all, and comes back', () => {
  const memory = new MemoryBudget(100);
  assert.equal(memory.take(60), true);
  assert.equal(memory.take(41), false);
  assert.equal(memory.heldBytes, 60);
  assert.equal(memory.take(40), true);
  memory.release(60);
  assert.equal(memory.fits(61), false);
  assert.equal(memory.fits(60), true);
  assert.throws(() => memory.release(41));
});
