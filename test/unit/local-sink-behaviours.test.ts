// What each address of the sink does, as tables.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { behaviourOf, contentFate, recipientRefusal } from '../../local/sink-behaviours.ts';

test('a local part that names a behaviour decides, otherwise the domain does', () => {
  const expected: [string, object][] = [
    ['anyone@ok.test', { kind: 'accept' }],
    ['anyone@defer-twice.test', { kind: 'defer', times: 2 }],
    ['ok@reject.test', { kind: 'accept' }],
    ['defer-3@ok.test', { kind: 'defer', times: 3 }],
    ['DEFER-3+17@ok.test', { kind: 'defer', times: 3 }],
    ['defer@ok.test', { kind: 'defer', times: 1 }],
    ['defer-data-2+x@ok.test', { kind: 'defer-data', times: 2 }],
    ['drop-final@ok.test', { kind: 'drop-final', times: 1 }],
    ['greylist-30@ok.test', { kind: 'greylist', seconds: 30 }],
    ['tarpit-5@ok.test', { kind: 'tarpit', seconds: 5 }],
    ['rejected@ok.test', { kind: 'accept' }],
    ['constructor@ok.test', { kind: 'accept' }],
    ['someone@elsewhere.example', { kind: 'accept' }],
  ];
  for (const [address, behaviour] of expected) assert.deepEqual(behaviourOf(address), behaviour, address);
});

test('a greylisted recipient is refused until its time has passed, faster at speed 60', () => {
  const greylist = { kind: 'greylist', seconds: 120 } as const;
  const before = { firstAtMs: 1_000_000, recipientTries: 4, contentTries: 0 };
  const refusalAt = (nowMs: number, speed: number) => recipientRefusal(greylist, before, nowMs, speed);
  assert.deepEqual(refusalAt(1_000_000, 1), { code: 451, text: 'greylisted, come back in 120 s' });
  assert.deepEqual(refusalAt(1_119_999, 1), { code: 451, text: 'greylisted, come back in 1 s' });
  assert.equal(refusalAt(1_120_000, 1), undefined);
  assert.deepEqual(refusalAt(1_001_999, 60), { code: 451, text: 'greylisted, come back in 1 s' });
  assert.equal(refusalAt(1_002_000, 60), undefined);
});

test('contents are refused or cut as many times as the script says', () => {
  const tried = (contentTries: number) => ({ firstAtMs: 0, recipientTries: 0, contentTries });
  assert.deepEqual(contentFate({ kind: 'defer-data', times: 2 }, tried(1)), {
    code: 452,
    text: 'no room now, refusal 2 of 2',
  });
  assert.equal(contentFate({ kind: 'defer-data', times: 2 }, tried(2)), undefined);
  assert.equal(contentFate({ kind: 'drop', times: 1 }, tried(0)), 'drop');
  assert.equal(contentFate({ kind: 'drop-final', times: 1 }, tried(1)), undefined);
  assert.equal(contentFate({ kind: 'defer', times: 5 }, tried(0)), undefined);
});
