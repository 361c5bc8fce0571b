import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { ScratchSpace } from '../../sidecar/intake/scratch-space.ts';
import { connectRaw, deliver, type RawClient } from './sidecar-smtp-client.ts';
import { listenerFor } from './sidecar-smtp-listener.ts';

const MIB = 1024 * 1024;
/** A mebibyte in lines. */
const BLOCK = Buffer.from(`${'x'.repeat(1022)}\r\n`.repeat(1024));

async function offered(port: number): Promise<RawClient> {
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  await client.say('MAIL FROM:<s@example.com>');
  await client.say('RCPT TO:<a@example.net>');
  await client.say('DATA');
  return client;
}

async function send(port: number, blocks: number): Promise<string> {
  const client = await offered(port);
  for (let n = 0; n < blocks; n += 1) {
    if (!client.socket.write(BLOCK)) await once(client.socket, 'drain');
  }
  client.write('.\r\n');
  const reply = await client.reply();
  client.socket.destroy();
  return reply;
}

function sha256OfBlocks(blocks: number): string {
  const hash = createHash('sha256');
  for (let n = 0; n < blocks; n += 1) hash.update(BLOCK);
  return hash.digest('hex');
}

test('200 MB over four connections pass through without staying in memory', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'scratch-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const memory = new MemoryBudget(64 * MIB, new ScratchSpace(1024 * MIB, directory));
  const hashes = new Set<string>();
  let mostFiles = 0;
  let mostHeldBytes = 0;
  const { port } = await listenerFor(t, {
    memory,
    async submit({ content }) {
      mostFiles = Math.max(mostFiles, memory.scratch.files);
      assert.equal(content.pieces, undefined);
      const hash = createHash('sha256');
      for await (const piece of content.read()) hash.update(piece);
      assert.equal(hash.digest('hex'), content.sha256.toString('hex'));
      hashes.add(`${content.sizeBytes} ${content.sha256.toString('hex')}`);
    },
  });
  const four = (blocks: number): Promise<string[]> =>
    Promise.all(Array.from({ length: 4 }, () => send(port, blocks)));
  await four(10);
  const beforeBytes = process.memoryUsage().rss;
  let mostBytes = 0;
  const watch = setInterval(() => {
    mostBytes = Math.max(mostBytes, process.memoryUsage().rss);
    mostHeldBytes = Math.max(mostHeldBytes, memory.heldBytes);
  }, 5);
  assert.deepEqual(
    await four(50),
    Array.from({ length: 4 }, () => '250 2.0.0 taken'),
  );
  clearInterval(watch);
  t.diagnostic(
    `RSS grew by ${Math.round((mostBytes - beforeBytes) / MIB)} MiB, ${mostHeldBytes} octets held`,
  );
  assert.ok(mostBytes - beforeBytes < 120 * MIB, `${beforeBytes} to ${mostBytes}`);
  // 4 MiB of each, its head, and what waits for the disk.
  assert.ok(mostHeldBytes < 4 * 5 * MIB, String(mostHeldBytes));
  assert.ok(mostFiles >= 1 && mostFiles <= 4);
  assert.deepEqual([...hashes].sort(), [
    `${10 * MIB} ${sha256OfBlocks(10)}`,
    `${50 * MIB} ${sha256OfBlocks(50)}`,
  ]);
  assert.deepEqual([memory.heldBytes, memory.scratch.heldBytes, memory.scratch.files], [0, 0, 0]);
  assert.deepEqual(readdirSync(directory), []);
});

test('content that finds no place on the disk is refused for now and noted, and small mail still passes', async (t) => {
  for (const [scratch, message] of [
    [new ScratchSpace(5 * MIB), /^content over 4 MiB was not taken: as much lies in files as may$/],
    [
      new ScratchSpace(64 * MIB, join(tmpdir(), 'missing', randomBytes(6).toString('hex'))),
      /^content over 4 MiB was not taken: ENOENT/,
    ],
  ] as const) {
    const memory = new MemoryBudget(64 * MIB, scratch);
    const { port, notices, taken } = await listenerFor(t, { memory });
    assert.equal(await send(port, 6), '452 4.3.1 content of this size cannot be kept now; try again');
    assert.deepEqual(
      notices.map(({ level, code }) => [level, code]),
      [['error', 'content-not-kept']],
    );
    assert.match(notices[0]?.message ?? '', message);
    assert.equal(await deliver(port, 'a@example.net', 'Hello.\r\n'), '250 2.0.0 taken');
    assert.equal(taken.length, 1);
    assert.deepEqual([memory.heldBytes, scratch.heldBytes, scratch.files], [0, 0, 0]);
  }
});

test('a message whose declared size has no room is refused at MAIL', async (t) => {
  const memory = new MemoryBudget(64 * MIB, new ScratchSpace(8 * MIB));
  const { port } = await listenerFor(t, { memory });
  const client = await connectRaw(port);
  await client.say('EHLO mta.example.com');
  assert.match(await client.say(`MAIL FROM:<> SIZE=${8 * MIB + 1}`), /^452 4\.3\.1 /);
  assert.equal(await client.say(`MAIL FROM:<> SIZE=${8 * MIB}`), '250 2.1.0 ok');
  client.socket.destroy();
});

test('a client that leaves in the middle of large content leaves nothing behind', async (t) => {
  const memory = new MemoryBudget(64 * MIB, new ScratchSpace(64 * MIB));
  const { port, close, taken } = await listenerFor(t, { memory });
  const client = await offered(port);
  for (let n = 0; n < 6; n += 1) await new Promise<void>((sent) => client.socket.write(BLOCK, () => sent()));
  client.socket.destroy();
  await close(60_000);
  while (memory.scratch.files > 0) await new Promise((turn) => setImmediate(turn));
  assert.deepEqual([memory.heldBytes, memory.scratch.heldBytes], [0, 0]);
  assert.deepEqual(taken, []);
});
