// The referee of the fuzz, on wires written by hand: what it must let pass, and what it must not.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { RecipientOutcome, Stage } from '../../shared/smtp/client.ts';
import type { Letter } from '../fuzz/smtp-plan.ts';
import { judge, type WireEvent } from '../fuzz/smtp-referee.ts';

function letter(name: string, text: string, more: Partial<Letter> = {}): Letter {
  const octets = Buffer.from(text);
  return {
    name,
    envelope: {
      sender: `${name}@example.com`,
      recipients: [{ address: 'r0@example.net' }, { address: 'r1@example.net' }],
      body: '7BIT',
      smtputf8: false,
      requireTls: false,
    },
    octets,
    content: { sizeBytes: octets.length, open: async () => Readable.from([octets]) },
    isFaulty: false,
    ...more,
  };
}

/** `C:` and `S:` lines; `|` ends a line on the wire. */
function wire(script: string): WireEvent[] {
  return script
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .map((line) => ({
      by: line.startsWith('C:') ? 'client' : 'peer',
      octets: Buffer.from(line.slice(3).replaceAll('|', '\r\n')),
    }));
}

function outcome(kind: RecipientOutcome['kind'], stage: Stage = 'final'): RecipientOutcome {
  return { kind, stage, reply: { code: 250, text: 'Ok' } };
}

function faultsOf(
  script: string,
  one: Letter,
  kinds: readonly RecipientOutcome['kind'][],
  isClean = false,
): string {
  const result = { kind: 'settled', outcomes: kinds.map((kind) => outcome(kind)) } as const;
  return judge(
    wire(script),
    [one, letter('m1', 'other\r\n')],
    [{ letter: one, result }],
    isClean,
  ).faults.join('; ');
}

const M0 = letter('m0', 'hello\r\n.dot\r\n');
const OPENING = `
  S: 220 hi|
  C: EHLO us|
  S: 250-mx|250 PIPELINING|`;
const ENVELOPE = `${OPENING}
  C: MAIL FROM:<m0@example.com>|RCPT TO:<r0@example.net>|RCPT TO:<r1@example.net>|DATA|
  S: 250 ok|250 ok|550 no|354 go|`;

test('a message that the peer took for one of two recipients passes as delivered and permanent', () => {
  const script = `${ENVELOPE}
    C: hello|..dot|.|
    S: 250 taken|`;
  assert.equal(faultsOf(script, M0, ['delivered', 'permanent'], true), '');
});

test('outcomes that the wire does not bear are named', () => {
  const script = `${ENVELOPE}
    C: hello|..dot|.|
    S: 250 taken|`;
  const name = (kind: string, at: number) => `m0 to r${at}: ${kind} at final (250 Ok)`;
  assert.equal(
    faultsOf(script, M0, ['permanent', 'delivered']),
    `${name('permanent', 0)}, and the peer never said so; ${name('permanent', 0)}, and the peer took it; ` +
      `${name('delivered', 1)}, and the peer never took it`,
  );
  assert.equal(
    faultsOf(script, M0, ['transient', 'transient']),
    `${name('transient', 0)}, and the peer took it: it would be sent twice`,
  );
  assert.equal(
    faultsOf(script, M0, ['delivered', 'transient'], true),
    `${name('transient', 1)}, and a peer that keeps the rules meant permanent`,
  );
  assert.equal(faultsOf(script, M0, ['delivered']), 'm0: 1 outcomes for 2 recipients');
});

test('silence after the final dot is a doubt, and a doubt takes content', () => {
  const silent = `${ENVELOPE}
    C: hello|..dot|.|`;
  assert.equal(faultsOf(silent, M0, ['uncertain', 'permanent']), '');
  assert.match(
    faultsOf(silent, M0, ['transient', 'permanent']),
    /transient .* and its final dot has no reply$/,
  );
  assert.match(faultsOf(OPENING, M0, ['uncertain', 'transient']), /uncertain .* and no content was due$/);
});

test('content must be asked for, whole, and of its own message', () => {
  const refused = ENVELOPE.replace('354 go', '450 later');
  const expected = 'content, or nonsense, where a command is due: "hello"';
  assert.ok(faultsOf(`${refused}\n C: hello|`, M0, ['transient', 'permanent']).startsWith(expected));
  const early = ENVELOPE.replace('DATA|', 'DATA|hello|');
  assert.match(faultsOf(early, M0, ['transient', 'permanent']), /^spoke on before DATA was answered/);
  for (const content of ['hello|.dot|.|', 'hello|..dot|x|.|', 'hello|.|', 'other|.|']) {
    const script = `${ENVELOPE}\n C: ${content}\n S: 451 no|`;
    assert.equal(
      faultsOf(script, M0, ['transient', 'permanent']),
      'content arrived changed, or mixed, for m0',
    );
  }
  assert.equal(
    faultsOf(`${ENVELOPE}\n C: othe`, M0, ['transient', 'permanent']),
    'content of another message, or changed, for m0',
  );
  const nobody = ENVELOPE.replace('250 ok|250 ok|550', '250 ok|450 no|550');
  assert.match(
    faultsOf(`${nobody}\n C: hello|`, M0, ['transient', 'permanent']),
    /^content although nobody was accepted/,
  );
  assert.equal(faultsOf(`${nobody}\n C: .|\n S: 554 no|`, M0, ['transient', 'permanent']), '');
});

test('a message whose content failed must never get its final dot', () => {
  const script = `${ENVELOPE}\n C: hello|..dot|.|\n S: 451 no|`;
  const faulty = { ...M0, isFaulty: true };
  assert.equal(
    faultsOf(script, faulty, ['transient', 'permanent']),
    'a final dot behind content that failed, for m0',
  );
});

test('a refusal of our own needs what the peer announced', () => {
  const large = letter('m0', `${'x'.repeat(2_000)}\r\n`);
  const small = OPENING.replace('250 PIPELINING', '250 SIZE 1000');
  assert.equal(faultsOf(small, large, ['permanent', 'permanent']), '');
  assert.match(
    faultsOf(OPENING, large, ['permanent', 'permanent']),
    /permanent .* and the peer never said so/,
  );
});

test('a message that was sent whole is not unattempted', () => {
  const script = `${ENVELOPE}\n C: hello|..dot|.|\n S: 250 taken|`;
  const result = { kind: 'unattempted', because: 'x' } as const;
  const { faults } = judge(wire(script), [M0], [{ letter: M0, result }], false);
  assert.deepEqual(faults, ['m0: unattempted, and its final dot was sent']);
});
