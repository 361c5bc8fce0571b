// Deliveries of one transfer share its spool object: whoever leaves last deletes it, and those who leave at about
// the same time do so with one write.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld, type World } from './world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.close());

const leave = async (objectKey: string, users: readonly string[]) => {
  const callsBefore = world.awsCalls.length;
  const { nowMs } = world.clock;
  const last = await Promise.all(users.map((user) => world.stores.users.remove(objectKey, [user], nowMs())));
  return { last, calls: world.awsCalls.slice(callsBefore) };
};

test('of all deliveries that leave an object together, exactly one deletes it', async () => {
  await world.stores.users.add('together', ['a', 'b', 'c'], Date.now() + 60_000);
  const { last, calls } = await leave('together', ['a', 'b', 'c']);
  assert.deepEqual(last, [true, false, false]);
  // One for all three, and the mark that nobody may join any more.
  assert.deepEqual(calls, ['UpdateItemCommand', 'UpdateItemCommand']);
});

test('while one delivery still uses an object, those that leave it delete nothing', async () => {
  await world.stores.users.add('staying', ['a', 'b', 'c'], Date.now() + 60_000);
  const { last, calls } = await leave('staying', ['a', 'b']);
  assert.deepEqual(last, [false, false]);
  assert.deepEqual(calls, ['UpdateItemCommand']);
  assert.deepEqual((await leave('staying', ['c'])).last, [true]);
});

test('deliveries of different objects do not wait for each other', async () => {
  await world.stores.users.add('one', ['a'], Date.now() + 60_000);
  await world.stores.users.add('other', ['a'], Date.now() + 60_000);
  const left = await Promise.all([leave('one', ['a']), leave('other', ['a'])]);
  assert.deepEqual(
    left.map(({ last }) => last),
    [[true], [true]],
  );
});

test('a delivery that leaves twice, and one that comes after the end, are told nothing new', async () => {
  await world.stores.users.add('again', ['a', 'b'], Date.now() + 60_000);
  assert.deepEqual((await leave('again', ['a', 'a'])).last, [false, false]);
  assert.deepEqual((await leave('again', ['b'])).last, [true]);
  // Whoever was told may have crashed before the object was gone.
  assert.deepEqual((await leave('again', ['b'])).last, [true]);
  await world.stores.users.forget('again');
  assert.deepEqual((await leave('again', ['b'])).last, [false]);
});
