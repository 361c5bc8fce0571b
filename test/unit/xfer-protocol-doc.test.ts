// docs/xfer-protocol.md against the code: its tables are complete and true.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as limits from '../../shared/xfer/limits.ts';
import { PROBLEMS } from '../../shared/xfer/problem.ts';

const DOCUMENT = readFileSync(new URL('../../docs/xfer-protocol.md', import.meta.url), 'utf8');

test('the protocol document lists each problem code once, with its status', () => {
  const rows = [...DOCUMENT.matchAll(/^\| (\d{3}) \| `([a-z0-9-]+)` \|/gm)].map(
    (row) => `${row[2]} ${row[1]}`,
  );
  const codes = Object.entries(PROBLEMS).map(([code, { status }]) => `${code} ${status}`);
  assert.deepEqual(rows.toSorted(), codes.toSorted());
});

test('the protocol document lists every reply code that the receiver authors', () => {
  const sources = [
    'xfer/header',
    'xfer/body',
    'message/check-content',
    'queue/accept',
    'queue/receive',
    'queue/check-message',
  ].map((name) => readFileSync(new URL(`../../shared/${name}.ts`, import.meta.url), 'utf8'));
  const authored = new Set(
    [...sources.join('\n').matchAll(/(?:ownReply|refused)\(\s*(\d{3}),\s*'([\d.]+)'/g)].map(
      (call) => `\`${call[1]} ${call[2]}\``,
    ),
  );
  assert.deepEqual([...authored].toSorted(), [
    '`451 4.3.0`',
    '`451 4.4.6`',
    '`451 4.6.0`',
    '`501 5.1.3`',
    '`501 5.1.7`',
    '`501 5.5.4`',
    '`552 5.3.4`',
    '`553 5.6.7`',
    '`554 5.4.6`',
    '`554 5.5.3`',
    '`554 5.6.0`',
  ]);
  for (const reply of authored) assert.ok(DOCUMENT.includes(`| ${reply} |`), reply);
});

test('the protocol document states the limits as they are', () => {
  assert.equal(limits.MAX_FRAMES, 1000);
  assert.equal(limits.MAX_RECIPIENTS, 1000);
  assert.equal(limits.MAX_HEADER_LINE_BYTES, 1_048_576);
  assert.equal(limits.MAX_INFLATED_BYTES, 33_554_432);
  assert.equal(limits.MAX_JSON_BODY_BYTES, 8_388_608);
  assert.equal(limits.MAX_INLINE_BYTES, 4_194_304);
  assert.equal(limits.MAX_MESSAGE_BYTES, 52_428_800);
  assert.equal(limits.MAX_META_BYTES, 4096);
  assert.equal(limits.MAX_JSON_DEPTH, 32);
  assert.equal(limits.EXPIRY_MAX_MS, 864_000_000);
  assert.equal(limits.CLOCK_SKEW_MS, 3_600_000);
});
