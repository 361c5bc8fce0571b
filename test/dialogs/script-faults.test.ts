// A dialogue script with a slip of the pen must fail, and say where.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScript } from './script-file.ts';
import { playScript } from './script-run.ts';

/** A script that holds, with these lines in its head and its dialogue. */
function script(head: string, dialog: string, outcome = 'session usable'): string {
  return `Title: hello\nSource: RFC 5321 §3\n${head}\n--- dialog\n${dialog}\n--- outcome\n${outcome}\n`;
}

const GREETED = 'S: 220 mx.example.net\nC: EHLO out.example.com\nS: 250 mx.example.net';
const LEFT = 'C: QUIT\nS: 221 Bye';

test('a line of a dialogue script that is not understood is reported with file and line', () => {
  for (const [text, fault] of [
    ['Title: x\n--- outcome\nsession usable\n', /^slip\.dialog:1: .*--- dialog/],
    ['Source: RFC 5321\n--- dialog\n--- outcome\nsession over\n', /^slip\.dialog:1: .*Title/],
    [script('Colour: red', ''), /^slip\.dialog:3: Colour: red: a script has no such line/],
    [script('From: alice', ''), /^slip\.dialog:3: .*no address/],
    [script('From: <alice@example.com> SIZE=3', ''), /^slip\.dialog:3: .*SIZE is no parameter of a message/],
    [script('To: <bob@example.net> NOTIFY=LATER', ''), /^slip\.dialog:3: .*LATER is no condition/],
    [script('Content: many octets', ''), /^slip\.dialog:3: .*a literal/],
    [script('TLS: perhaps', ''), /^slip\.dialog:3: .*no, ifavailable or required/],
    [script('Timeout: lunch 60 ms', ''), /^slip\.dialog:3: .*STAGE/],
    [script('Remembered: kindness', ''), /^slip\.dialog:3: .*one of tls-fails/],
    [script('Hand-Over: later', ''), /^slip\.dialog:3: .*overlapped/],
    [script('', 'S: 220 mx\n\nshout'), /^slip\.dialog:7: no step of a script: shout/],
    [script('', 'wait a moment'), /^slip\.dialog:5: no step of a script: wait a moment/],
    [script('', 'raw 250 Ok'), /^slip\.dialog:5: no step of a script: raw 250 Ok/],
    [script('', '', '# nothing'), /^slip\.dialog:6: a script expects something/],
  ] as const) {
    assert.throws(
      () => parseScript(text, 'slip.dialog'),
      (error: unknown) => error instanceof Error && fault.test(error.message),
      text,
    );
  }
});

test('a dialogue that goes otherwise than its script fails at the line where it does, with the transcript', async () => {
  const text = script('Hand-Over: nothing', `${GREETED}\nC: HELP\nS: 214 No`);
  await assert.rejects(
    playScript(parseScript(text, 'slip.dialog')),
    /^Error: slip\.dialog:8: the script expects: HELP, the client said: QUIT\n(.*\n)*C: EHLO out\.example\.com/,
  );
});

test('an outcome that is not the expected one fails, with the transcript', async () => {
  const text = script('Hand-Over: nothing', `${GREETED}\n${LEFT}`, 'opening failed at greeting: 554 No');
  await assert.rejects(
    playScript(parseScript(text, 'slip.dialog')),
    /session usable(.*\n)*The dialogue was:/,
  );
});

test('a client that speaks where a script wants quiet fails', async () => {
  const text = script('', `${GREETED}\nquiet 500\nC: MAIL FROM:<alice@example.com>`, 'session over');
  await assert.rejects(
    playScript(parseScript(text, 'slip.dialog')),
    /^Error: slip\.dialog:8: the script expects nothing yet, the client said: MAIL/,
  );
});

test('content that is not what was handed over fails', async () => {
  const dialog = `${GREETED}\nC: MAIL FROM:<alice@example.com>\nS: 250 Ok\nC: RCPT TO:<bob@example.net>\nS: 250 Ok\nC: DATA\nS: 354 Go on\nC: (content)\nS: 250 Ok\n${LEFT}`;
  const outcome = '<bob@example.net> delivered at final: 250 Ok\nsession usable';
  const good = parseScript(script('', dialog, outcome), 'slip.dialog');
  await playScript(good);
  const other = good.messages.map((message) => ({ ...message, octets: Buffer.from('Subject: hellO\r\n') }));
  await assert.rejects(playScript({ ...good, messages: other }), /content 1 that the peer took/);
});
