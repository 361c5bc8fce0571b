import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { readContent } from '../../shared/queue/read-content.ts';

const TRACE = Buffer.from('Received: by us\r\n');
const CONTENT = Buffer.from('Subject: x\r\n\r\nabcdefghijklmnopqrstuvwxyz\r\n');
const PLACE = { key: 'k/transfer', offset: 7, shared: false };

/** Gives `octets` in pieces of five as they are asked for, then ends, or breaks. */
function stream(octets: Uint8Array, end: 'ends' | 'breaks'): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: 0,
    read() {
      const piece = octets.subarray(at, at + 5);
      at += 5;
      if (piece.length > 0) this.push(piece);
      else if (end === 'ends') this.push(null);
      else this.destroy(new Error('socket idle for too long'));
    },
  });
}

/** A spool whose n-th stream gives as many octets as its limit says, then breaks; the last one gives all. */
function spool(...limits: readonly number[]) {
  const opened: (readonly [number, number])[] = [];
  return {
    opened,
    async open(key: string, offset: number, sizeBytes: number) {
      assert.equal(key, PLACE.key);
      const limit = limits[opened.length];
      opened.push([offset, sizeBytes]);
      const rest = CONTENT.subarray(offset - PLACE.offset, offset - PLACE.offset + sizeBytes);
      return limit === undefined ? stream(rest, 'ends') : stream(rest.subarray(0, limit), 'breaks');
    },
  };
}

async function read(content: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const WHOLE = `${TRACE}${CONTENT}`;

test('content whose stream breaks off is read on from where it broke, as often as it gives something', async () => {
  const store = spool(5, 10, 0, 5, 0);
  const content = { trace: TRACE, place: PLACE, sizeBytes: CONTENT.length };
  assert.equal(await read(readContent(store, content)), WHOLE);
  assert.deepEqual(store.opened, [
    [7, 42],
    [12, 37],
    [22, 27],
    [22, 27],
    [27, 22],
    [27, 22],
  ]);
});

test('a stream that broke before anybody read it is opened again', async () => {
  const store = spool();
  const opened = stream(CONTENT, 'ends');
  opened.destroy(new Error('socket idle for too long'));
  const content = { trace: TRACE, place: PLACE, sizeBytes: CONTENT.length, opened };
  assert.equal(await read(readContent(store, content)), WHOLE);
  assert.deepEqual(store.opened, [[7, 42]]);
});

test('a spool that gives nothing three times, or whose object is gone, or shorter, fails the reading', async () => {
  const content = { trace: TRACE, place: PLACE, sizeBytes: CONTENT.length };
  await assert.rejects(read(readContent(spool(5, 0, 0, 0), content)), /idle/);
  await assert.rejects(read(readContent({ open: async () => undefined }, content)), /gone from the spool/);
  const short = { open: async () => stream(new Uint8Array(), 'ends') };
  await assert.rejects(read(readContent(short, content)), /ended early/);
});
