import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthGuard, sourceOf } from '../../sidecar/smtp/auth-guard.ts';

test('guesses that come at once wait one behind the other, each twice as long', async () => {
  const guard = new AuthGuard(40);
  const atMs: number[] = [];
  const users = {
    async verify() {
      atMs.push(performance.now());
      return false;
    },
  };
  const startMs = performance.now();
  await Promise.all(
    ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3', '2001:db8::1'].map((address) =>
      guard.verify(users, address, 'mta', 'guess'),
    ),
  );
  const waited = atMs.map((ms) => ms - startMs);
  for (const [index, leastMs] of [0, 40, 120, 280].entries()) {
    // A timer may be a millisecond early.
    assert.ok((waited[index] ?? 0) >= leastMs - index, `${waited}`);
  }
});

test('at most two passwords are hashed at once, wherever they come from, and whoever left is not waited for', async () => {
  const guard = new AuthGuard(60_000);
  let running = 0;
  let most = 0;
  let verified = 0;
  const users = {
    async verify() {
      running += 1;
      verified += 1;
      most = Math.max(most, running);
      await new Promise((turn) => setImmediate(turn));
      running -= 1;
      return false;
    },
  };
  const addresses = Array.from({ length: 20 }, (_, index) => `192.0.2.${index}`);
  await Promise.all(addresses.map((address) => guard.verify(users, address, 'mta', 'guess')));
  assert.deepEqual([most, verified], [2, 20]);
  assert.equal(await guard.verify(users, '192.0.2.1', 'mta', 'guess', () => true), false);
  assert.equal(verified, 20);
});

test('an address of IPv4 counts by itself, also where it is written as IPv6', () => {
  assert.equal(sourceOf('192.0.2.7'), '192.0.2.7');
  assert.equal(sourceOf('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(sourceOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
});
