// The demo's judgement: a story that went otherwise is never called well.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBoard } from '../../local/demo-board.ts';
import { type DemoMessage, demoStory } from '../../local/demo-story.ts';
import { demoSummary } from '../../local/demo-summary.ts';
import { judge } from '../../local/demo-verdict.ts';
import type { SinkMail } from '../../local/sink.ts';
import type { LogRecord, RecordType } from '../../shared/records/records.ts';

const CONTENT = Buffer.from('Subject: x\r\n\r\nbody\r\n');
const TRACE =
  'Received: from a.test\r\n\tby b.test (delay-xfer) with XFER id 1;\r\n\tSun, 22 Nov 2026 22:58:25 +0000\r\n';

const MESSAGE: DemoMessage = {
  number: 1,
  kind: 'mixed',
  way: 'smtp',
  envelope: { sender: '', recipients: [], body: '7BIT', smtputf8: false, requireTls: false },
  content: CONTENT,
  expected: new Map([
    ['good@ok.test', 'delivered'],
    ['bad@xn--bcher-kva.test', 'failed'],
  ]),
  attempts: [2, 2],
  handovers: 1,
  withdrawn: false,
};

let events = 0;

function record(type: RecordType, recipient: string): LogRecord {
  events += 1;
  return {
    type,
    event_id: `e${events}`,
    id: 'm1',
    credential: 'local',
    sender: '',
    recipient,
    queue: 'ok.test',
    size: 20,
    timestamp: 1_800_000_010,
    created: 1_800_000_000,
    num_attempts: 0,
    egress_source: 'default',
    reception_protocol: 'XFER',
    meta: {},
  };
}

function boardAfter(...events: readonly (readonly [RecordType, string])[]) {
  const board = createBoard([MESSAGE]);
  board.started(MESSAGE, 1_800_000_000_000);
  for (const [type, recipient] of events) board.record(record(type, recipient));
  return board;
}

const WELL = [
  ['XferIn', 'good@ok.test'],
  ['TransientFailure', 'good@ok.test'],
  ['Bounce', 'bad@bücher.test'],
  ['Delivery', 'good@ok.test'],
] as const;

const arrival = (content: string | Buffer, address = 'good@ok.test'): SinkMail => ({
  atMs: 0,
  host: 'mx1.sink.test',
  sender: '',
  recipients: [{ address, parameters: {} }],
  parameters: {},
  content: Buffer.from(content),
});

function verdictOf(board: ReturnType<typeof boardAfter>, ...mails: readonly SinkMail[]) {
  const [standing] = board.standings;
  assert.ok(standing !== undefined);
  return judge(standing, mails, []);
}

test('a message that went as the story says has no faults', () => {
  const board = boardAfter(...WELL);
  assert.equal(board.finished(), true);
  const verdict = verdictOf(board, arrival(`${TRACE}${CONTENT}`));
  assert.deepEqual(verdict.faults, []);
  assert.equal(verdict.octets, 'equal');
  assert.equal(verdict.ended, '1 delivered, 1 failed');
  assert.deepEqual(board.standings[0]?.keys, [{ credential: 'local', id: 'm1' }]);
  assert.match(demoSummary([verdict]), /All 1 messages ended as the story says/);
});

test('of a failure the sender must be told, once', () => {
  const sender = 'demo+1@sender.test';
  const message = { ...MESSAGE, envelope: { ...MESSAGE.envelope, sender } };
  const board = createBoard([message]);
  board.started(message, 1_800_000_000_000);
  for (const [type, recipient] of WELL) board.record(record(type, recipient));
  const good = arrival(`${TRACE}${CONTENT}`);
  assert.equal(board.finished(), false);
  assert.deepEqual(verdictOf(board, good).faults, ['its sender got 0 reports']);

  board.record({ ...record('Delivery', sender), credential: '_report' });
  assert.equal(board.finished(), true);
  const report = arrival('Subject: Undelivered', sender);
  const { faults, ended } = verdictOf(board, good, report);
  assert.deepEqual([faults, ended], [[], '1 delivered, 1 failed, reported']);
  assert.deepEqual(verdictOf(board, good, report, report).faults, ['its sender got 2 reports']);
});

test('every way of going otherwise is a fault', () => {
  const good = arrival(`${TRACE}${CONTENT}`);
  const cases: [string, ReturnType<typeof verdictOf>, string][] = [
    [
      'an octet',
      verdictOf(boardAfter(...WELL), arrival(`${TRACE}${CONTENT} `)),
      'good@ok.test: the octets differ',
    ],
    [
      'no trace',
      verdictOf(boardAfter(...WELL), arrival(CONTENT)),
      'good@ok.test: no single trace header in front',
    ],
    [
      'two traces',
      verdictOf(boardAfter(...WELL), arrival(`${TRACE}${TRACE}${CONTENT}`)),
      'good@ok.test: no single trace header in front',
    ],
    ['twice', verdictOf(boardAfter(...WELL), good, good), 'good@ok.test: arrived 2 times'],
    ['never', verdictOf(boardAfter(...WELL)), 'good@ok.test: did not arrive'],
    [
      'to the wrong one',
      verdictOf(boardAfter(...WELL), good, arrival(TRACE, 'bad@bücher.test')),
      'bad@xn--bcher-kva.test: arrived, against the story',
    ],
    ['too few attempts', verdictOf(boardAfter(...WELL.slice(2)), good), '1 attempts instead of 2'],
    [
      'not ended',
      verdictOf(boardAfter(...WELL.slice(0, 3), ['Uncertain', 'good@ok.test']), good),
      'good@ok.test: nothing instead of delivered',
    ],
    [
      'expired',
      verdictOf(
        boardAfter(...WELL.slice(0, 3), ['Expiration', 'good@ok.test'], ['Uncertain', 'good@ok.test']),
        good,
      ),
      'good@ok.test: expired instead of delivered',
    ],
  ];
  for (const [what, verdict, fault] of cases) {
    assert.deepEqual(verdict.faults, [fault], what);
    assert.match(demoSummary([verdict]), /1 of 1 messages ended otherwise/, what);
  }
});

test('the story has at least twenty messages, and no recipient occurs twice', () => {
  const story = demoStory('abc', 1_800_000_000_000);
  assert.ok(story.length >= 20);
  const addresses = story.flatMap(({ expected }) => [...expected.keys()]);
  assert.equal(new Set(addresses).size, addresses.length);
  assert.deepEqual(
    story.map(({ number }) => number),
    story.map((_, index) => index + 1),
  );
  for (const { content } of story) assert.equal(content.subarray(-2).toString(), '\r\n');
});

test('an event that the log tells twice is one attempt', () => {
  const board = createBoard([MESSAGE]);
  board.started(MESSAGE, 1_800_000_000_000);
  const bounce = record('Bounce', 'bad@bücher.test');
  board.record(bounce);
  board.record(bounce);
  assert.equal(board.standings[0]?.attempts, 1);
});
