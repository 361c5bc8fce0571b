// One transaction, reply by reply: what is said next, and what becomes of three recipients.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { silence } from '../../shared/smtp/classify.ts';
import { createExchange } from '../../shared/smtp/exchange.ts';
import { createReplyReader } from '../../shared/smtp/reply-reader.ts';

interface Played {
  readonly steps: readonly string[];
  readonly outcomes: readonly string[];
  readonly remainder: readonly number[];
  readonly hungUp: boolean;
}

/** The final dot is sent as soon as the content is asked for. */
function play(isPipelined: boolean, replies: readonly string[], recipients = 3): Played {
  const exchange = createExchange(recipients, isPipelined);
  const steps: string[] = [];
  let hungUp = false;
  for (const text of replies) {
    createReplyReader().push(Buffer.from(`${text}\r\n`), (said) => {
      if (hungUp || steps.at(-1)?.startsWith('finish') === true) return;
      const step = exchange.took(said);
      switch (step.do) {
        case 'wait':
          break;
        case 'say rcpt':
          steps.push(`rcpt ${step.recipient}`);
          break;
        case 'say data':
        case 'send lone dot':
          steps.push(step.do);
          break;
        case 'send content':
          steps.push(step.do);
          exchange.sentFinalDot();
          break;
        case 'finish':
          steps.push(step.reset ? 'finish, reset' : 'finish');
          break;
        case 'hang up':
          steps.push(step.misbehaved ? 'hang up on a misbehaving peer' : 'hang up');
          hungUp = true;
          break;
      }
    });
  }
  const outcomes = exchange.outcomes((stage) => silence('connection lost', stage));
  return {
    steps,
    outcomes: outcomes.map(({ kind, stage, reply }) => `${kind} ${stage} ${reply.code}`),
    remainder: exchange.remainder(),
    hungUp,
  };
}

const OK = '250 Ok';
const NO = '550 5.1.1 No such user';
const GO = '354 Go on';

test('one command at a time, each reply decides what is said next', () => {
  for (const [replies, steps, outcomes] of [
    [
      [OK, OK, OK, OK, GO, OK],
      ['rcpt 0', 'rcpt 1', 'rcpt 2', 'say data', 'send content', 'finish'],
      Array(3).fill('delivered final 250'),
    ],
    [['550 5.7.1 No'], ['finish, reset'], Array(3).fill('permanent mail 550')],
    [
      [OK, NO, NO, '450 4.2.0 Later'],
      ['rcpt 0', 'rcpt 1', 'rcpt 2', 'finish, reset'],
      ['permanent rcpt 550', 'permanent rcpt 550', 'transient rcpt 450'],
    ],
    [
      [OK, OK, NO, OK, '451 4.3.0 Later'],
      ['rcpt 0', 'rcpt 1', 'rcpt 2', 'say data', 'finish, reset'],
      ['transient data 451', 'permanent rcpt 550', 'transient data 451'],
    ],
    // Whom the peer cannot take any more is not asked for.
    [
      [OK, OK, '452 4.5.3 Too many recipients', GO, OK],
      ['rcpt 0', 'rcpt 1', 'say data', 'send content', 'finish'],
      ['delivered final 250', 'transient rcpt 452', 'transient rcpt 452'],
    ],
    // Nobody was accepted: that is a refusal of this recipient, and the others are asked for.
    [
      [OK, '452 4.5.3 Too many recipients', OK, OK, GO, OK],
      ['rcpt 0', 'rcpt 1', 'rcpt 2', 'say data', 'send content', 'finish'],
      ['transient rcpt 452', 'delivered final 250', 'delivered final 250'],
    ],
    [[OK, '500 What?', '500 What?', '500 What?'], undefined, Array(3).fill('permanent rcpt 500')],
  ] as const) {
    const played = play(false, replies);
    if (steps !== undefined) assert.deepEqual(played.steps, steps, replies.join(', '));
    assert.deepEqual(played.outcomes, outcomes, replies.join(', '));
  }
});

test('in a group, nothing is decided before the reply to DATA', () => {
  for (const [replies, steps, outcomes] of [
    [[OK, OK, OK, OK, GO, OK], ['send content', 'finish'], Array(3).fill('delivered final 250')],
    [
      [NO, '503 5.5.1 MAIL first', '503 5.5.1 MAIL first', '503 5.5.1 MAIL first', '503 5.5.1 MAIL first'],
      ['finish, reset'],
      Array(3).fill('permanent mail 550'),
    ],
    [
      [OK, NO, NO, NO, '554 5.5.1 No valid recipients'],
      ['finish, reset'],
      Array(3).fill('permanent rcpt 550'),
    ],
    // Content is asked for although nobody is there to have it: an empty one, which is never a delivery.
    [
      [OK, NO, NO, '450 4.2.0 Later', GO, OK],
      ['send lone dot', 'finish, reset'],
      ['permanent rcpt 550', 'permanent rcpt 550', 'transient rcpt 450'],
    ],
    [
      ['451 4.3.0 No', NO, NO, NO, GO, '250 2.0.0 Queued'],
      ['send lone dot', 'finish, reset'],
      Array(3).fill('transient mail 451'),
    ],
    // Recipients were accepted, but for another sender's mail.
    [
      ['451 4.3.0 No', OK, OK, OK, GO],
      ['hang up on a misbehaving peer'],
      Array(3).fill('transient mail 451'),
    ],
    // A command that the peer does not know may be half of one that it lost.
    [
      [OK, '500 What?', '502 What?', OK, '550 No'],
      ['finish, reset'],
      ['transient rcpt 500', 'transient rcpt 502', 'permanent data 550'],
    ],
  ] as const) {
    const played = play(true, replies);
    assert.deepEqual(played.steps, steps, replies.join(', '));
    assert.deepEqual(played.outcomes, outcomes, replies.join(', '));
  }
});

test('where replies and commands do not fit, nothing is permanent, and the session ends', () => {
  for (const replies of [
    [GO],
    [OK, NO, GO],
    [OK, NO, OK, GO],
    [OK, NO, NO, NO, OK],
    [OK, NO, 'what?'],
    ['what?'],
    [OK, NO, NO, NO, '250-Ok\r\n550 No'],
  ]) {
    const played = play(true, replies);
    assert.deepEqual(played.steps, ['hang up on a misbehaving peer'], replies.join(', '));
    for (const outcome of played.outcomes) assert.match(outcome, /^transient /, replies.join(', '));
  }
});

test('a 421 in a group is about what it did not answer; the verdicts before it stand', () => {
  assert.deepEqual(play(true, [OK, NO, '421 4.7.0 Enough']).outcomes, [
    'permanent rcpt 550',
    'transient rcpt 421',
    'transient rcpt 421',
  ]);
});

test('recipients who were one too many are named again when the message was delivered, and only then', () => {
  const tooMany = '452 4.5.3 Too many recipients';
  for (const [isPipelined, replies, remainder] of [
    [true, [OK, OK, tooMany, tooMany, GO, OK], [1, 2]],
    [true, [OK, tooMany, OK, '552 Too many recipients', GO, OK], [0, 2]],
    [true, [OK, OK, '452 4.2.2 Mailbox full', '552 5.2.2 Mailbox full', GO, OK], []],
    [true, [OK, OK, tooMany, tooMany, GO, '554 5.7.1 Spam'], []],
    [true, [OK, tooMany, tooMany, tooMany, '554 No valid recipients'], []],
    [false, [OK, OK, tooMany, GO, OK], [1, 2]],
    [false, [OK, OK, NO, '552 5.5.3 Too many', GO, OK], [2]],
  ] as const) {
    assert.deepEqual(play(isPipelined, replies).remainder, remainder, replies.join(', '));
  }
});

test('whatever a peer says, nothing is delivered without MAIL, RCPT, DATA and the final dot accepted', () => {
  const code = fc.constantFrom(
    '250',
    '251',
    '354',
    '421',
    '450',
    '452',
    '500',
    '503',
    '550',
    '552',
    '554',
    '99',
  );
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(code, { maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      (isPipelined, codes, n) => {
        const { outcomes, steps } = play(
          isPipelined,
          codes.map((text) => `${text} words`),
          n,
        );
        assert.equal(outcomes.length, n);
        const isDelivered = outcomes.some((outcome) => outcome.startsWith('delivered'));
        if (isDelivered) {
          assert.ok(steps.includes('send content'));
          assert.match(codes[0] ?? '', /^25/);
          assert.ok(!steps.includes('send lone dot'));
        }
        // What was sent and not answered is in doubt, and nothing else is.
        for (const outcome of outcomes)
          if (outcome.startsWith('uncertain')) assert.ok(steps.includes('send content'));
      },
    ),
    { numRuns: 5_000 },
  );
});
