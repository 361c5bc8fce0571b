import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate } from '../../shared/queue/gate.ts';

test('as many as the gate is wide work at once, in order, and a failure lets the next one in', async () => {
  const gate = createGate(2);
  const story: string[] = [];
  let inside = 0;
  let most = 0;
  const work = (name: string) =>
    gate(async () => {
      inside += 1;
      most = Math.max(most, inside);
      story.push(name);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      if (name === 'b') throw new Error('b fails');
      return name;
    });
  const all = await Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map(work));
  assert.deepEqual(
    all.map((each) => (each.status === 'fulfilled' ? each.value : 'failed')),
    ['a', 'failed', 'c', 'd', 'e'],
  );
  assert.deepEqual([story.join(''), most, inside], ['abcde', 2, 0]);
});
