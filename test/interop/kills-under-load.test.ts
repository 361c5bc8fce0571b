// A Postfix and an Exim hand mail over in both modes while the sidecar is killed ten times, and then the receiver two
// times: the MTA's queue, the ledger and the sink account for every message.
//
// INTEROP_KILLS is how often the sidecar is killed, INTEROP_SEED draws the mail and the moments.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seeded } from '../journeys/port-orders.ts';
import { makeDirectory } from './directory.ts';
import {
  account,
  drawRound,
  inTheMiddle,
  type Round,
  STREAMS,
  startWorld,
  superviseSidecar,
  type World,
} from './killing.ts';
import type { Receiver } from './receiver.ts';
import { startSidecar } from './sidecar.ts';

const KILLS = Number(process.env['INTEROP_KILLS'] ?? 10);
const RECEIVER_KILLS = 2;
const SEED = Number(process.env['INTEROP_SEED'] ?? Date.now() % 1_000_000);

test(`the sidecar is killed ${KILLS} times under load`, async (context) => {
  context.diagnostic(`INTEROP_KILLS=${KILLS} INTEROP_SEED=${SEED}`);
  const random = seeded(SEED);
  await using servers = new AsyncDisposableStack();
  const world = await startWorld(servers);
  const sidecar = await superviseSidecar(servers, world);
  const rounds: Round[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const round = drawRound(random, kill);
    rounds.push(round);
    await inTheMiddle(world, random, round);
    await sidecar.kill();
  }
  await accountForAll(context, world, rounds, [world.receiver]);
  const again = sidecar.handedOver().filter(({ verdict }) => verdict === 'duplicate').length;
  context.diagnostic(`${again} hand-overs were repeats that the receiver knew`);
  assert.ok(again > 0, 'some message was in flight at a kill, and came again under its id');
});

test(`the receiver is killed ${RECEIVER_KILLS} times under load, and comes back with its data`, async (context) => {
  context.diagnostic(`INTEROP_SEED=${SEED}`);
  const random = seeded(SEED);
  await using servers = new AsyncDisposableStack();
  const data = join(await makeDirectory(servers, 'data'), 'data');
  const world = await startWorld(servers, ['--data', data]);
  const sidecar = await startSidecar(servers, { configuration: world.configuration });
  const rounds: Round[] = [];
  const receivers: Receiver[] = [world.receiver];
  for (let kill = 0; kill < RECEIVER_KILLS; kill += 1) {
    const round = drawRound(random, kill);
    rounds.push(round);
    await inTheMiddle(world, random, round);
    await receivers.at(-1)?.destroy();
    receivers.push(await world.startReceiver());
  }
  await accountForAll(context, world, rounds, receivers);
  const tries = sidecar.handedOver().filter((record) => record.tries > 1).length;
  context.diagnostic(`${tries} hand-overs took more than one try`);
  assert.ok(tries > 0, 'some transfer was under way when the receiver was killed');
});

async function accountForAll(
  context: TestContext,
  world: World,
  rounds: readonly Round[],
  receivers: readonly Receiver[],
): Promise<void> {
  for (const stream of STREAMS) {
    const rule = stream.mode === 'reroute' ? 'none doubled' : 'doubled only what was in flight';
    await context.test(`${stream.mta}, ${stream.mode}: none lost, ${rule}`, async (subtest) => {
      const letters = rounds
        .flat()
        .flatMap((part) => (part.mta === stream.mta && part.mode === stream.mode ? part.letters : []));
      const told = await account(world, stream, letters, receivers);
      subtest.diagnostic(JSON.stringify(told));
      assert.equal(told.taken + told.byMta, told.recipients + told.doubled);
      assert.ok(told.doubled <= told.unheard);
    });
  }
}
