// How the demo's progress is shown.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Standing } from '../../local/demo-board.ts';
import { openScreen } from '../../local/demo-screen.ts';

function standing(number: number, latest: string, more: Partial<Standing> = {}): Standing {
  return {
    message: {
      number,
      kind: `kind ${number}`,
      way: 'smtp',
      envelope: { sender: '', recipients: [], body: '7BIT', smtputf8: false, requireTls: false },
      content: Buffer.alloc(0),
      expected: new Map([['a@ok.test', 'delivered']]),
      attempts: [1, 1],
      handovers: 1,
      withdrawn: false,
    },
    keys: [],
    ends: new Map(),
    attempts: 0,
    refusal: undefined,
    reported: false,
    latest,
    startedAtMs: 0,
    endedAtMs: undefined,
    ...more,
  };
}

function recorder(terminal: { isTTY?: boolean; rows?: number; columns?: number }) {
  const written: string[] = [];
  return { ...terminal, written, write: (text: string) => written.push(text) };
}

test('without a terminal every event is one line, and a partial delivery is none', () => {
  for (const [output, environment] of [
    [recorder({}), {}],
    [recorder({ isTTY: true, rows: 40 }), { CI: 'true' }],
    [recorder({ isTTY: true, rows: 5 }), {}],
  ] as const) {
    let nowMs = 1_000;
    const screen = openScreen(
      output,
      () => [],
      () => nowMs,
      environment,
    );
    nowMs = 2_500;
    screen.update(standing(7, 'accepted'));
    screen.update(standing(7, 'accepted'));
    screen.update(standing(7, 'delivered 1 of 2', { ends: new Map([['a@ok.test', 'delivered']]) }));
    screen.update(
      standing(7, 'delivered 2 of 2', { ends: new Map([['a@ok.test', 'delivered']]), endedAtMs: 1 }),
    );
    screen.close();
    assert.deepEqual(output.written, [
      '   1.5 s   7   kind 7                        accepted\n',
      '   1.5 s   7 * kind 7                        delivered 2 of 2\n',
    ]);
  }
});

test('on a terminal open messages are drawn again in place, and ended ones stay above', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const output = recorder({ isTTY: true, rows: 24, columns: 51 });
  const first = standing(1, 'accepted');
  const second = standing(2, 'deferred: 450 a reply that is longer than the line');
  let standings = [first, second];
  const screen = openScreen(
    output,
    () => standings,
    () => 0,
    { TERM: 'xterm' },
  );
  standings = [{ ...first, latest: 'delivered', endedAtMs: 1 }, second];
  screen.update(first);
  screen.update(second);
  t.mock.timers.tick(100);
  screen.close();
  assert.deepEqual(output.written, [
    '\x1b[0J 1   kind 1                        accepted\n 2   kind 2                        deferred: 450 a\n0 of 2 ended\n',
    '\x1b[3A\x1b[0J 1 * kind 1                        delivered\n 2   kind 2                        deferred: 450 a\n1 of 2 ended\n',
    '\x1b[2A\x1b[0J 2   kind 2                        deferred: 450 a\n1 of 2 ended\n',
  ]);
});
