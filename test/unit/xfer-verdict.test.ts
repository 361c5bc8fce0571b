// Answers: how the receiver writes verdicts and problems, and what a client makes of anything that comes back.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Verdict } from '../../shared/xfer/message.ts';
import { formatProblem, PROBLEMS, type ProblemCode, problem } from '../../shared/xfer/problem.ts';
import { formatVerdicts } from '../../shared/xfer/verdict.ts';
import { parseRetryAfter, parseVerdicts, type TransferOutcome } from '../../shared/xfer/verdict-parser.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);
const REFUSED: Verdict = {
  id: 'b',
  status: 'refused',
  reply: { code: 552, enhanced: '5.3.4', text: 'too large' },
};

function outcome(status: number, body: unknown, ids = ['a', 'b'], headers = {}): TransferOutcome {
  const octets = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return parseVerdicts({ status, headers, body: octets }, ids, NOW_MS);
}

describe('the answer to a transfer', () => {
  test('is 200 with one verdict per message in their order', () => {
    const answer = formatVerdicts([
      { id: 'a', status: 'accepted' },
      REFUSED,
      { id: 'c', status: 'duplicate' },
    ]);
    assert.deepEqual(answer, {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body:
        '{"messages":[{"id":"a","status":"accepted"},' +
        '{"id":"b","status":"refused","reply":{"code":552,"enhanced":"5.3.4","text":"too large"}},' +
        '{"id":"c","status":"duplicate"}]}',
    });
  });

  test('is 422 when all are refused, a problem with the same messages', () => {
    assert.deepEqual(formatVerdicts([REFUSED]), {
      status: 422,
      headers: { 'content-type': 'application/problem+json' },
      body:
        '{"type":"urn:delay-xfer:problem:all-refused","title":"Every message was refused","status":422,' +
        '"detail":"each message has its reply in messages","code":"all-refused",' +
        '"messages":[{"id":"b","status":"refused","reply":{"code":552,"enhanced":"5.3.4","text":"too large"}}]}',
    });
  });

  test('about one message stays under 2,048 bytes whatever its reply says', () => {
    for (const character of ['x', '"', '\\', '\u0001', 'é', '用', '\ud83d\ude00', '\ud800']) {
      const reply = { code: 599, enhanced: '5.999.999', text: character.repeat(5000) };
      const { body } = formatVerdicts([{ id: 'i'.repeat(64), status: 'refused', reply }]);
      assert.ok(Buffer.byteLength(body) < 2048, `${character}: ${Buffer.byteLength(body)}`);
      assert.equal(Buffer.from(body).toString(), body);
      assert.ok(JSON.parse(body).messages[0].reply.text.length > 100);
    }
  });
});

describe('a problem', () => {
  test('has its members, its media type and what waits', () => {
    assert.deepEqual(formatProblem(problem('in-doubt', 'a write timed out', { id: 'a' }), 1.2), {
      status: 503,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '2' },
      body:
        '{"type":"urn:delay-xfer:problem:in-doubt",' +
        '"title":"It is not known whether the messages were taken; send them again","status":503,' +
        '"detail":"a write timed out","code":"in-doubt","id":"a"}',
    });
  });

  test('about credentials asks for them', () => {
    const { status, headers } = formatProblem(problem('unauthorized', 'send Basic credentials'));
    assert.equal(status, 401);
    assert.equal(headers['www-authenticate'], 'Basic realm="delay-xfer", charset="UTF-8"');
  });

  test('of any code stays under 2,048 bytes', () => {
    for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
      assert.ok(Buffer.byteLength(formatProblem(problem(code, '\u0001'.repeat(5000))).body) < 2048);
    }
  });
});

describe('a client', () => {
  test('reads back every verdict that a receiver writes', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    const taken = fc.record(
      { id, status: fc.constantFrom('accepted' as const, 'duplicate' as const) },
      { noNullPrototype: true },
    );
    const reply = fc.constantFrom({ code: 451, enhanced: '4.7.1', text: 'é' }, { code: 550, text: '' });
    const refused = fc.record(
      { id, status: fc.constant('refused' as const), reply },
      { noNullPrototype: true },
    );
    const verdicts = fc.uniqueArray(fc.oneof(taken, refused), {
      minLength: 1,
      selector: (verdict) => verdict.id,
    });
    fc.assert(
      fc.property(verdicts, (all) => {
        const { status, body } = formatVerdicts(all);
        const ids = all.map((verdict) => verdict.id);
        assert.deepEqual(outcome(status, body, ids), { kind: 'verdicts', messages: all });
      }),
    );
  });

  test('finds a verdict by its id when the order differs, and leaves in doubt what has none', () => {
    const body = {
      messages: [REFUSED, { id: 'a', status: 'accepted' }, { id: 'c', status: 'greylisted' }, 5],
    };
    assert.deepEqual(outcome(200, body, ['a', 'b', 'c', 'd']), {
      kind: 'verdicts',
      messages: [
        { id: 'a', status: 'accepted' },
        REFUSED,
        { id: 'c', status: 'unknown' },
        { id: 'd', status: 'unknown' },
      ],
    });
  });

  test('never bounces on a refusal without a usable reply', () => {
    for (const reply of [
      undefined,
      null,
      'no',
      {},
      { code: '550' },
      { code: 250 },
      { code: 600 },
      { code: 550.5 },
    ]) {
      assert.deepEqual(outcome(200, { messages: [{ id: 'a', status: 'refused', reply }] }, ['a']), {
        kind: 'verdicts',
        messages: [
          {
            id: 'a',
            status: 'refused',
            reply: { code: 451, enhanced: '4.3.0', text: 'refused by the receiver without a usable reply' },
          },
        ],
      });
    }
  });

  test('keeps a refusal whose text or status is of no use, without them', () => {
    const body = { messages: [{ id: 'a', status: 'refused', reply: { code: 550, enhanced: 5, text: 7 } }] };
    assert.deepEqual(outcome(200, body, ['a']), {
      kind: 'verdicts',
      messages: [{ id: 'a', status: 'refused', reply: { code: 550, text: '' } }],
    });
  });

  const standings: readonly [status: number, kind: string, inDoubt: boolean | undefined][] = [
    [200, 'retry', true],
    [202, 'retry', true],
    [204, 'retry', true],
    [301, 'retry', false],
    [400, 'faulty', undefined],
    [401, 'retry', false],
    [403, 'retry', false],
    [404, 'retry', false],
    [405, 'faulty', undefined],
    [407, 'retry', false],
    [408, 'retry', true],
    [413, 'faulty', undefined],
    [415, 'faulty', undefined],
    [418, 'retry', true],
    [422, 'faulty', undefined],
    [429, 'retry', false],
    [500, 'retry', true],
    [502, 'retry', true],
    [503, 'retry', true],
    [504, 'retry', true],
    [0, 'retry', true],
  ];
  for (const [status, kind, inDoubt] of standings) {
    const doubt = inDoubt === undefined ? '' : inDoubt ? ', in doubt' : ', untaken';
    test(`takes ${status} without verdicts as ${kind}${doubt}`, () => {
      const result = outcome(status, '<html>', ['a']);
      assert.equal(result.kind, kind);
      assert.equal(result.kind === 'retry' ? result.inDoubt : undefined, inDoubt);
      assert.equal(result.kind !== 'verdicts' && result.reason, `HTTP ${status}`);
    });
  }

  test('tells why, and waits as long as it is asked to', () => {
    const { status, headers, body } = formatProblem(problem('too-busy', '120 transfers at once'), 7);
    assert.deepEqual(outcome(status, body, ['a'], headers), {
      kind: 'retry',
      inDoubt: false,
      retryAfterMs: 7000,
      reason: 'HTTP 429 too-busy 120 transfers at once',
    });
  });

  test('reads Retry-After as seconds or as a date, at most an hour ahead', () => {
    assert.equal(parseRetryAfter('30', NOW_MS), 30_000);
    assert.equal(parseRetryAfter('0', NOW_MS), 0);
    assert.equal(parseRetryAfter('999999999', NOW_MS), 3_600_000);
    assert.equal(parseRetryAfter('Sun, 22 Nov 2026 12:01:00 GMT', NOW_MS), 60_000);
    assert.equal(parseRetryAfter('Sun, 22 Nov 2026 11:00:00 GMT', NOW_MS), 0);
    for (const value of [undefined, '', 'soon', '-5', '1.5', '12345678901', 'x GMT']) {
      assert.equal(parseRetryAfter(value, NOW_MS), undefined);
    }
  });

  test('survives every answer', () => {
    const body = fc.oneof(
      fc.json(),
      fc.string({ unit: 'binary' }),
      fc.json().map((text) => `{"messages":[${text}]}`),
    );
    fc.assert(
      fc.property(fc.nat(999), body, fc.string(), (status, text, retryAfter) => {
        const result = outcome(status, text, ['a', 'b'], { 'retry-after': retryAfter });
        if (result.kind === 'verdicts')
          assert.deepEqual(
            result.messages.map((message) => message.id),
            ['a', 'b'],
          );
        if (result.kind === 'retry') assert.ok((result.retryAfterMs ?? 0) >= 0);
      }),
      { numRuns: 1000 },
    );
  });
});
