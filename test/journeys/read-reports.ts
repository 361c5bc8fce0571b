// Reports that reached the sink, as two mail parsers read them.

import assert from 'node:assert/strict';
import { READERS, type ReadReport } from '../unit/report-readers.ts';
import { reportsTo, SENDER } from './transfers.ts';
import type { World } from './world.ts';

/** Once by each parser; what both say is answered as mailparser has it. */
async function read(report: string): Promise<ReadReport> {
  const octets = Buffer.from(report, 'latin1');
  const [first, ...others] = await Promise.all(Object.values(READERS).map((reader) => reader(octets)));
  assert.ok(first !== undefined && others.length === 1);
  for (const other of others) {
    assert.deepEqual(
      [other.recipients, other.message, other.parts],
      [first.recipients, first.message, first.parts],
    );
  }
  return first;
}

/** The only one that reached this sender. */
export async function onlyReport(world: World, sender = SENDER): Promise<ReadReport> {
  const [report, ...others] = reportsTo(world, sender);
  assert.ok(report !== undefined && others.length === 0, `${others.length + 1} reports`);
  return read(report);
}
