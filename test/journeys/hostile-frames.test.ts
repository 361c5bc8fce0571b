// Frames and gzip streams that are cut, lie about sizes, or try to get something past the receiver. Each is a problem
// with a code, the function lives on, and nothing is stored.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { inventory, NOTHING } from './inventory.ts';
import { type Answer, frame, letter, postFrames } from './transfers.ts';
import { startWorld, type World } from './world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(async () => {
  // What came before left the receiver well.
  const { status } = await postFrames(world, [frame('good', ['a@ok.test'], letter('good'))]);
  await world.close();
  assert.equal(status, 200);
});

const GOOD = frame('first', ['a@ok.test'], letter('first'));

async function assertRefused(answer: Answer, status: number, code: string): Promise<void> {
  assert.deepEqual([answer.status, Object(answer.body).code], [status, code], JSON.stringify(answer.body));
  assert.equal(answer.type, 'application/problem+json');
  assert.deepEqual(await inventory(world), NOTHING);
  assert.deepEqual(world.notices, [], 'nothing broke');
}

/** A frame whose line is exactly this, without content. */
const line = (text: string) => Buffer.from(`${text}\n`);

function sized(sizeBytes: string, content = letter('x')): Buffer {
  return line(
    `{"id":"x","sender":"","recipients":["a@ok.test"],"sizeBytes":${sizeBytes}}`.concat('\n', content),
  );
}

describe('a transfer whose framing is wrong is refused whole', () => {
  for (const [what, frames, status, code] of [
    ['cut in its line', [GOOD.subarray(0, 40)], 400, 'frame-truncated'],
    ['cut before its content', [GOOD.subarray(0, GOOD.indexOf(0x0a) + 1)], 400, 'frame-truncated'],
    ['cut one octet before its end', [GOOD.subarray(0, -1)], 400, 'frame-truncated'],
    ['with a good frame before the cut one', [GOOD, GOOD.subarray(0, -1)], 400, 'frame-truncated'],
    ['with a good frame and half a line', [GOOD, Buffer.from('{"id":"sec')], 400, 'frame-truncated'],
    ['with one octet too many', [GOOD, Buffer.from('x')], 400, 'frame-truncated'],
    ['with a size below the content', [sized('10')], 400, 'bad-frame'],
    ['with a size above the content', [sized('1000')], 400, 'frame-truncated'],
    ['with a negative size', [sized('-1')], 400, 'bad-size'],
    ['with a fractional size', [sized('10.5')], 400, 'bad-size'],
    ['with a size in quotes', [sized('"70"')], 400, 'bad-size'],
    ['with a null size', [sized('null')], 400, 'bad-size'],
    ['with a list for a size', [sized('[70]')], 400, 'bad-size'],
    ['with a size of 2⁵³', [sized('9007199254740992')], 400, 'bad-size'],
    ['with a size of 2⁶⁴', [sized('18446744073709551616')], 400, 'bad-size'],
    ['with an infinite size', [sized('1e400')], 400, 'bad-size'],
    ['with the largest exact size', [sized('9007199254740991')], 413, 'frame-too-large'],
    ['with a size just over what is inflated', [sized('33554433')], 413, 'frame-too-large'],
    ['without a size', [line('{"id":"x","sender":"","recipients":["a@ok.test"]}')], 400, 'bad-size'],
    ['without an id', [line('{"sender":"","recipients":["a@ok.test"],"sizeBytes":0}')], 400, 'bad-id'],
    ['of line ends alone', [Buffer.from('\n\n\n')], 400, 'bad-frame'],
    ['of NUL alone', [Buffer.alloc(1_000)], 400, 'frame-truncated'],
    ['that is a mail without a frame', [Buffer.from(letter('bare'))], 400, 'bad-frame'],
    ['whose line is a list', [line('[]')], 400, 'bad-frame'],
    ['whose line is null', [line('null')], 400, 'bad-frame'],
    ['whose line is a number', [line('1')], 400, 'bad-frame'],
    ['whose upload is text', [line('{"id":"x","sizeBytes":0,"upload":"true"}')], 400, 'bad-upload'],
  ] as const) {
    test(what, async () => {
      await assertRefused(await postFrames(world, frames), status, code);
    });
  }

  test('whose line is longer than 1 MiB', async () => {
    const long = Buffer.from(`{"id":"x","sender":"${'a'.repeat(1_100_000)}`);
    await assertRefused(await postFrames(world, [long]), 413, 'header-line-too-long');
  });

  test('whose line is not valid UTF-8', async () => {
    const octets = Buffer.from('{"id":"x","sender":"?@ok.test","recipients":["a@ok.test"],"sizeBytes":0}\n');
    for (const bad of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
      const at = octets.indexOf('?');
      const spoilt = Buffer.concat([octets.subarray(0, at), Buffer.from(bad), octets.subarray(at + 1)]);
      await assertRefused(await postFrames(world, [spoilt]), 400, 'bad-frame');
    }
  });

  for (const [what, text] of [
    ['33 levels', `{"id":"x","meta":${'['.repeat(33)}${']'.repeat(33)}}`],
    ['half a million brackets', '['.repeat(500_000)],
    ['a hundred thousand objects', '{"a":'.repeat(100_000)],
  ] as const) {
    test(`whose line nests ${what} deep`, async () => {
      const answer = await postFrames(world, [line(text)]);
      await assertRefused(answer, 400, 'bad-frame');
      assert.match(Object(answer.body).detail, /nests deeper than 32 levels/);
    });
  }

  for (const id of [
    '',
    '../../etc/passwd',
    'a/b',
    'a b',
    'a#b',
    'a\r\nb',
    'a\u0000b',
    'a%2Fb',
    '\u00e4',
    'x'.repeat(65),
  ]) {
    test(`with the id ${JSON.stringify(id.slice(0, 20))}`, async () => {
      await assertRefused(await postFrames(world, [frame(id, ['a@ok.test'], 'x')]), 400, 'bad-id');
    });
  }

  test('with an id that is no text', async () => {
    for (const id of ['7', 'null', '["x"]', '{"a":1}', 'true']) {
      const bad = line(`{"id":${id},"sender":"","recipients":["a@ok.test"],"sizeBytes":0}`);
      await assertRefused(await postFrames(world, [bad]), 400, 'bad-id');
    }
  });
});

describe('a gzip stream', () => {
  const zipped = (octets: Buffer, encoding = 'gzip') =>
    postFrames(world, [octets], { 'content-encoding': encoding });

  test('that inflates to 33 MiB of nothing stops at the cap', async () => {
    const bomb = gzipSync(Buffer.alloc(33 * 1024 * 1024));
    assert.ok(bomb.length < 50_000);
    await assertRefused(await zipped(bomb), 413, 'inflated-too-large');
  });

  test('that inflates to 4 GiB stops at the cap as well', async () => {
    // Members may follow each other in a stream (RFC 1952 §2.2): 128 times 32 MiB.
    const member = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    const bomb = Buffer.concat(Array.from({ length: 128 }, () => member));
    assert.ok(bomb.length < 5_000_000);
    await assertRefused(await zipped(bomb), 413, 'inflated-too-large');
  });

  test('that is cut, spoilt, or none at all is refused', async () => {
    const whole = gzipSync(GOOD);
    const spoilt = Buffer.from(whole);
    spoilt[spoilt.length - 6] = (spoilt[spoilt.length - 6] ?? 0) ^ 0xff;
    for (const bad of [whole.subarray(0, -9), whole.subarray(0, 5), spoilt, GOOD, deflateSync(GOOD)]) {
      await assertRefused(await zipped(bad), 400, 'bad-gzip');
    }
  });

  test('around a cut frame is refused for the cut', async () => {
    await assertRefused(await zipped(gzipSync(GOOD.subarray(0, -3))), 400, 'frame-truncated');
  });

  test('around nothing has no message', async () => {
    await assertRefused(await zipped(gzipSync('')), 400, 'empty-body');
  });

  test('inside a gzip stream is no frame', async () => {
    const twice = await zipped(gzipSync(gzipSync(GOOD)));
    assert.equal(twice.status, 400);
    assert.deepEqual(await inventory(world), NOTHING);
  });

  for (const encoding of ['br', 'deflate', 'gzip, gzip', 'gzip;q=1', 'compress']) {
    test(`announced as ${encoding} is not taken`, async () => {
      await assertRefused(await zipped(gzipSync(GOOD), encoding), 415, 'unsupported-encoding');
    });
  }
});
