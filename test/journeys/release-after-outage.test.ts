// Release was stopped for half a day: what came due meanwhile goes out at the first run, without asking for each
// of the minutes that passed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Stores } from '../../shared/aws/stores.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let queries = 0;

before(async () => {
  const counted = (stores: Stores): Stores => ({
    ...stores,
    due: {
      ...stores.due,
      entries: (bucket, kind) => {
        queries += 1;
        return stores.due.entries(bucket, kind);
      },
    },
  });
  world = await startWorld({ wrap: (stores, role) => (role === 'release' ? counted(stores) : stores) });
});
after(() => world.close());

test('a delivery that came due while release was off for twelve hours is delivered at its first run', async () => {
  await world.release();
  const dueAt = new Date(world.clock.nowMs() + 7_200_000).toISOString();
  const answer = await world.post({
    id: 'parked-1',
    sender: 'a@sender.example',
    recipients: ['anyone@ok.test'],
    content: 'Subject: later\r\n\r\nbody\r\n',
    dueAt,
  });
  assert.equal(answer.status, 200);
  assert.equal(await world.deliver(), 0);

  world.clock.advance(12 * 3_600_000);
  queries = 0;
  const summary = await world.release();
  assert.equal(summary.released, 1);
  assert.equal(summary.behind, 0);
  // 64 shards × (4 young buckets parked, 2 guarded, held, owing), and the bucket that holds something, twice.
  assert.ok(queries <= 64 * 8 + 2, `${queries} queries`);
  assert.equal(await world.deliver(), 1);
  assert.equal(world.sink.received.length, 1);
});
