import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ContentWriter } from '../../sidecar/intake/content.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { ScratchSpace } from '../../sidecar/intake/scratch-space.ts';

const MIB = 1024 * 1024;

function directoryFor(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'scratch-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Descriptors of this process that point into a directory. */
function descriptorsIn(directory: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false;
    }
  }).length;
}

async function write(writer: ContentWriter, content: Buffer, pieceBytes: number): Promise<void> {
  for (let at = 0; at < content.length; at += pieceBytes) {
    if (!writer.write(content.subarray(at, at + pieceBytes))) await writer.drained();
  }
}

async function readAll(content: { read(): AsyncIterable<Buffer> }): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('content of 4 MiB stays in memory, and one octet more goes to a file without a name', async (t) => {
  const directory = directoryFor(t);
  const memory = new MemoryBudget(16 * MIB, new ScratchSpace(64 * MIB, directory));
  for (const [sizeBytes, inFile] of [
    [4 * MIB, false],
    [4 * MIB + 1, true],
    [20 * MIB + 17, true],
  ] as const) {
    const octets = randomBytes(sizeBytes);
    const writer = new ContentWriter(memory);
    await write(writer, octets, 60_001);
    const content = await writer.finish();
    assert.equal(content.sizeBytes, sizeBytes);
    assert.deepEqual(content.sha256, createHash('sha256').update(octets).digest());
    assert.ok(content.head.length >= 65_536);
    assert.ok(octets.subarray(0, content.head.length).equals(content.head));
    assert.equal(content.pieces === undefined, inFile);
    const [one, two] = await Promise.all([readAll(content), readAll(content)]);
    assert.ok(one.equals(octets) && two.equals(octets), 'two readers at once have the same octets');
    assert.deepEqual(readdirSync(directory), []);
    assert.equal(descriptorsIn(directory), inFile ? 1 : 0);
    assert.equal(memory.scratch.heldBytes, inFile ? sizeBytes : 0);
    assert.ok(memory.heldBytes <= (inFile ? 2 * 65_536 : sizeBytes));
    writer.release();
    assert.deepEqual([memory.heldBytes, memory.scratch.heldBytes, memory.scratch.files], [0, 0, 0]);
  }
});

test('a file whose content was given back is read to its end by who began, and is then closed', async (t) => {
  const directory = directoryFor(t);
  const memory = new MemoryBudget(16 * MIB, new ScratchSpace(64 * MIB, directory));
  const octets = randomBytes(5 * MIB);
  const writer = new ContentWriter(memory);
  await write(writer, octets, MIB);
  const content = await writer.finish();
  const reader = content.read()[Symbol.asyncIterator]();
  const pieces = [(await reader.next()).value];
  writer.release();
  writer.release();
  assert.equal(descriptorsIn(directory), 1);
  for (let step = await reader.next(); step.done !== true; step = await reader.next())
    pieces.push(step.value);
  assert.ok(Buffer.concat(pieces.filter((piece) => piece !== undefined)).equals(octets));
  while (descriptorsIn(directory) > 0) await new Promise((turn) => setImmediate(turn));
  await assert.rejects(async () => readAll(content), /released/);
});

test('content is not kept past the memory, past the disk space, or where nothing can be written', async (t) => {
  const directory = directoryFor(t);
  const failures: unknown[] = [];
  for (const memory of [
    new MemoryBudget(MIB, new ScratchSpace(64 * MIB, directory)),
    new MemoryBudget(16 * MIB, new ScratchSpace(6 * MIB, directory)),
    new MemoryBudget(16 * MIB, new ScratchSpace(64 * MIB, join(directory, 'missing'))),
  ]) {
    const writer = new ContentWriter(memory);
    await write(writer, randomBytes(8 * MIB), 65_536);
    await assert.rejects(writer.finish(), { code: 'content-failed' });
    assert.equal(writer.failed, true);
    failures.push(
      writer.failure?.kind === 'disk' ? writer.failure.reason.split(',')[0] : writer.failure?.kind,
    );
    assert.equal(writer.write(Buffer.from('more')), true, 'what follows is dropped without waiting');
    assert.deepEqual([memory.heldBytes, memory.scratch.heldBytes, memory.scratch.files], [0, 0, 0]);
  }
  assert.deepEqual(failures, ['memory', 'scratch', 'ENOENT: no such file or directory']);
});

test('a CR or LF that stands alone is noticed, wherever the content is cut', async () => {
  const bareIn = async (pieces: readonly string[]): Promise<boolean> => {
    const writer = new ContentWriter(new MemoryBudget(MIB));
    for (const piece of pieces) writer.write(Buffer.from(piece));
    const { bareNewlines } = await writer.finish();
    writer.release();
    return bareNewlines;
  };
  for (const [text, bare] of [
    ['', false],
    ['a', false],
    ['a\r\n\r\nb\r\n', false],
    ['a\nb\r\n', true],
    ['a\rb\r\n', true],
    ['a\r\r\n', true],
    ['a\n', true],
    ['a\r\n\r', true],
  ] as const) {
    assert.equal(await bareIn([text]), bare, JSON.stringify(text));
    assert.equal(await bareIn([...text]), bare, `${JSON.stringify(text)}, octet by octet`);
  }
});

test('content in the smallest pieces takes memory by its octets, in few pieces', async () => {
  const memory = new MemoryBudget(16 * MIB);
  const octets = randomBytes(300_001);
  for (const [pieceBytes, mostPieces] of [
    [1, 32],
    [3, 32],
    [4_095, 32],
    [4_096, 74],
  ] as const) {
    const writer = new ContentWriter(memory);
    for (let at = 0; at < octets.length; at += pieceBytes) {
      writer.write(octets.subarray(at, at + pieceBytes));
      const heldBytes = memory.heldBytes;
      assert.ok(
        heldBytes >= at && heldBytes <= 2 * (at + pieceBytes) && heldBytes <= at + 65_536 + pieceBytes,
      );
    }
    const content = await writer.finish();
    const pieces = content.pieces ?? [];
    assert.ok(pieces.length <= mostPieces, `${pieces.length} pieces`);
    assert.ok(Buffer.concat(pieces).equals(octets));
    assert.deepEqual(content.sha256, createHash('sha256').update(octets).digest());
    assert.equal(memory.heldBytes, octets.length);
    writer.release();
    assert.equal(memory.heldBytes, 0);
  }
});

test('small pieces among large ones stay in their order, in memory and in a file', async (t) => {
  const memory = new MemoryBudget(16 * MIB, new ScratchSpace(64 * MIB, directoryFor(t)));
  for (const sizeBytes of [MIB, 5 * MIB]) {
    const octets = randomBytes(sizeBytes);
    const writer = new ContentWriter(memory);
    const sizes = [1, 5_000, 2, 40_000, 4_095, 4_096];
    for (let at = 0, index = 0; at < octets.length; index += 1) {
      const pieceBytes = sizes[index % sizes.length] ?? 1;
      if (!writer.write(octets.subarray(at, at + pieceBytes))) await writer.drained();
      at += pieceBytes;
    }
    const content = await writer.finish();
    assert.ok((await readAll(content)).equals(octets));
    assert.deepEqual(content.sha256, createHash('sha256').update(octets).digest());
    writer.release();
    assert.deepEqual([memory.heldBytes, memory.scratch.heldBytes], [0, 0]);
  }
});

test('a message may fill the memory that is left to its last octet, also in small pieces', async () => {
  const memory = new MemoryBudget(1_000);
  const writer = new ContentWriter(memory);
  for (let at = 0; at < 1_000; at += 10) writer.write(Buffer.alloc(10, 'a'));
  assert.equal((await writer.finish()).sizeBytes, 1_000);
  assert.equal(memory.heldBytes, 1_000);
  const other = new ContentWriter(memory);
  other.write(Buffer.from('a'));
  await assert.rejects(other.finish(), { code: 'content-failed' });
  assert.equal(memory.heldBytes, 1_000);
  writer.release();
  assert.equal(memory.heldBytes, 0);
});
