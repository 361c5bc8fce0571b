// How replies are read, and what they mean at each stage.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, classifySilence, letsGoOn, silence } from '../../shared/smtp/classify.ts';
import type { Stage } from '../../shared/smtp/client.ts';
import { parseEhlo } from '../../shared/smtp/ehlo.ts';
import { parseReply, readReply } from '../../shared/smtp/parse-reply.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { settleTransaction, type TransactionRecord } from '../../shared/smtp/settle-transaction.ts';

test('a reply is read into code, enhanced status and text', () => {
  for (const [wire, reply] of [
    ['250 2.1.5 Ok', { code: 250, enhanced: '2.1.5', text: 'Ok' }],
    ['250 2.1.5 Ok\r\n', { code: 250, enhanced: '2.1.5', text: 'Ok' }],
    ['250', { code: 250, text: '' }],
    ['250 ', { code: 250, text: '' }],
    ['250-', { code: 250, text: '' }],
    ['450 4.2.0', { code: 450, enhanced: '4.2.0', text: '' }],
    ['550 5.1.1  Two blanks', { code: 550, enhanced: '5.1.1', text: ' Two blanks' }],
    ['550 No such user', { code: 550, text: 'No such user' }],
    ['550 5.1.1000 is no status', { code: 550, text: '5.1.1000 is no status' }],
    ['550 10.0.0.1 is listed', { code: 550, text: '10.0.0.1 is listed' }],
    ['354 Start mail input', { code: 354, text: 'Start mail input' }],
    // Code and status disagree: kept as it was said.
    ['550 4.7.1 Come back later', { code: 550, enhanced: '4.7.1', text: 'Come back later' }],
    ['550 5.7.1 Unerwünscht', { code: 550, enhanced: '5.7.1', text: 'Unerwünscht' }],
  ] as const) {
    assert.deepEqual(parseReply(wire), reply, wire);
  }
});

test('the lines of a reply are joined, and their repeated status is taken off', () => {
  assert.deepEqual(parseReply('550-5.7.1 Our system has\r\n550-5.7.1 detected\r\n550 5.7.1 spam'), {
    code: 550,
    enhanced: '5.7.1',
    text: 'Our system has\ndetected\nspam',
  });
  assert.deepEqual(parseReply(['450-4.2.0 Greylisted', '450 for 300 s']), {
    code: 450,
    enhanced: '4.2.0',
    text: 'Greylisted\nfor 300 s',
  });
  assert.deepEqual(parseReply(['451-Wait', '451 4.7.1 a while']), { code: 451, text: 'Wait\n4.7.1 a while' });
});

test('words that are no reply become a transient reply that quotes them', () => {
  for (const words of [
    '',
    'hello',
    '25 Ok',
    '2500 Ok',
    '250ok',
    '199 What',
    '600 What',
    '250-Ok\n550 No',
    '250-Ok\nwhat',
  ]) {
    assert.equal(readReply(words), undefined, words);
    assert.equal(
      formatReply(parseReply(words)),
      `451 4.5.0 unintelligible reply: ${words.replace('\n', ' ')}`.trimEnd(),
    );
  }
});

test('a reply is kept to 512 octets', () => {
  assert.equal(Buffer.byteLength(parseReply(`550 ${'ü'.repeat(1_000)}`).text), 512);
  assert.equal(Buffer.byteLength(parseReply('x'.repeat(10_000)).text), 512);
});

test('extensions are read from the lines after the first', () => {
  const { keywords, sizeLimitBytes } = parseEhlo(
    '250-DSN.example.net PIPELINING at your service\r\n250-SIZE 35882577\r\n250-auth PLAIN LOGIN\r\n250 smtputf8',
  );
  assert.deepEqual([...keywords], ['SIZE', 'AUTH', 'SMTPUTF8']);
  assert.equal(sizeLimitBytes, 35_882_577);
  assert.deepEqual(parseEhlo('250 mx.example.net'), { keywords: new Set() });
  assert.deepEqual(parseEhlo('250-mx.example.net\n250 SIZE 0'), { keywords: new Set(['SIZE']) });
  assert.deepEqual(parseEhlo('250-mx.example.net\n250 SIZE -1'), { keywords: new Set(['SIZE']) });
});

test('what a reply means depends on its first digit, and on the stage when it is positive', () => {
  const kinds = (stage: Stage): string[] =>
    [250, 354, 421, 450, 550, 554].map((code) => `${code} ${classify(stage, { code, text: '' }).kind}`);
  assert.deepEqual(kinds('final'), [
    '250 delivered',
    '354 transient',
    '421 transient',
    '450 transient',
    '550 permanent',
    '554 permanent',
  ]);
  assert.deepEqual(kinds('content').slice(0, 2), ['250 transient', '354 transient']);
  assert.equal(classify('rcpt', { code: 550, enhanced: '4.2.1', text: '' }).kind, 'permanent');
  assert.equal(classify('rcpt', { code: 450, enhanced: '5.2.1', text: '' }).kind, 'transient');
  assert.deepEqual(
    [letsGoOn('data', { code: 354, text: '' }), letsGoOn('data', { code: 250, text: '' })],
    [true, false],
  );
  assert.deepEqual(
    [letsGoOn('rcpt', { code: 354, text: '' }), letsGoOn('rcpt', { code: 251, text: '' })],
    [false, true],
  );
});

test('silence is doubt after the final dot, and transient anywhere else', () => {
  const stages: Stage[] = [
    'connect',
    'greeting',
    'ehlo',
    'starttls',
    'mail',
    'rcpt',
    'data',
    'content',
    'final',
  ];
  const told = stages.map((stage) => {
    const outcome = classifySilence(stage, silence('timed out', stage));
    return `${outcome.kind}: ${formatReply(outcome.reply)}`;
  });
  assert.deepEqual(told, [
    'transient: 421 4.4.1 timed out while connecting',
    'transient: 421 4.4.2 timed out while waiting for the greeting',
    'transient: 421 4.4.2 timed out while waiting for the reply to EHLO',
    'transient: 421 4.4.2 timed out while starting TLS',
    'transient: 421 4.4.2 timed out while waiting for the reply to MAIL FROM',
    'transient: 421 4.4.2 timed out while waiting for the reply to RCPT TO',
    'transient: 421 4.4.2 timed out while waiting for the reply to DATA',
    'transient: 421 4.4.2 timed out while sending the content',
    'uncertain: 421 4.4.2 timed out while waiting for the reply to the final dot',
  ]);
});

/** The outcomes of two recipients after these replies, told as stage and code. */
function settled(replies: readonly string[], finalDotSent = false): string[] {
  const record: TransactionRecord = {
    replies: replies.map((told) => {
      const [stage, text] = told.split(': ');
      return {
        stage: stageNamed(stage),
        reply: parseReply(text ?? ''),
        intelligible: readReply(text ?? '') !== undefined,
      };
    }),
    finalDotSent,
    silence: (stage) => silence('connection lost', stage),
  };
  return settleTransaction(2, record).map(({ kind, stage, reply }) => `${kind} at ${stage}: ${reply.code}`);
}

function stageNamed(name: string | undefined): Stage {
  const stage = (['mail', 'rcpt', 'data', 'content', 'final'] as const).find((known) => known === name);
  if (stage === undefined) throw new Error(`no stage: ${name}`);
  return stage;
}

test('every recipient of a transaction has an outcome, however far it came', () => {
  const accepted = ['mail: 250 Ok', 'rcpt: 250 Ok', 'rcpt: 550 No'];
  const lost = { rcpt: 'transient at rcpt: 421', no: 'permanent at rcpt: 550' };
  for (const [replies, finalDotSent, outcomes] of [
    [[], false, ['transient at mail: 421', 'transient at mail: 421']],
    [['mail: 250 Ok'], false, [lost.rcpt, lost.rcpt]],
    [
      ['mail: 550 No', 'rcpt: 503 No', 'rcpt: 503 No'],
      false,
      ['permanent at mail: 550', 'permanent at mail: 550'],
    ],
    [['mail: 250 Ok', 'rcpt: 550 No'], false, [lost.no, lost.rcpt]],
    [accepted, false, ['transient at data: 421', lost.no]],
    [[...accepted, 'data: 451 No'], false, ['transient at data: 451', lost.no]],
    [[...accepted, 'data: 354 Go'], false, ['transient at content: 421', lost.no]],
    [[...accepted, 'data: 354 Go'], true, ['uncertain at final: 421', lost.no]],
    [[...accepted, 'data: 354 Go', 'content: 552 No'], true, ['permanent at content: 552', lost.no]],
    [[...accepted, 'data: 354 Go', 'content: 250 Ok'], true, ['transient at content: 451', lost.no]],
    [[...accepted, 'data: 354 Go', 'final: 250 Ok'], true, ['delivered at final: 250', lost.no]],
    [[...accepted, 'data: 354 Go', 'final: 451 No'], true, ['transient at final: 451', lost.no]],
    [[...accepted, 'data: 354 Go', 'final: hello'], true, ['uncertain at final: 451', lost.no]],
  ] as const) {
    assert.deepEqual(settled(replies, finalDotSent), outcomes, replies.join(', '));
  }
});

test('503 to a command is about the session and bounces nobody; after the content it is the verdict', () => {
  const reply = { code: 503, enhanced: '5.5.1', text: 'nested MAIL command' };
  assert.equal(classify('mail', reply).kind, 'transient');
  assert.equal(classify('rcpt', reply).kind, 'transient');
  assert.equal(classify('final', reply).kind, 'permanent');
});

test('a reply of several lines that an empty line ends is not understood, and nothing follows from it', () => {
  assert.equal(readReply(['250-one', '250-two', '']), undefined);
  assert.deepEqual(readReply('250-one\r\n250 two\r\n'), { code: 250, text: 'one\ntwo' });
});
