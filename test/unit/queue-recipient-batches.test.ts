import assert from 'node:assert/strict';
import { test } from 'node:test';
import { speakInBatches } from '../../shared/queue/recipient-batches.ts';
import type { RecipientOutcome } from '../../shared/smtp/client.ts';

const delivered: RecipientOutcome = { kind: 'delivered', stage: 'final', reply: { code: 250, text: 'ok' } };
const later: RecipientOutcome = { kind: 'transient', stage: 'mail', reply: { code: 451, text: 'later' } };
const full: RecipientOutcome = { kind: 'transient', stage: 'rcpt', reply: { code: 452, text: 'full' } };
const refused: RecipientOutcome = { kind: 'permanent', stage: 'mail', reply: { code: 550, text: 'no' } };
const lost: RecipientOutcome = { kind: 'uncertain', stage: 'final', reply: { code: 421, text: 'lost' } };

/** What was said, as `from-to`, `!` on the last; and the outcomes' kinds. */
async function spoken(
  recipients: number,
  limits: { readonly transaction?: number; readonly session?: number; readonly carried?: number },
  answer: (batch: number) => RecipientOutcome | undefined = () => delivered,
) {
  const load = { recipients: limits.carried ?? 0 };
  const said: string[] = [];
  const outcomes = await speakInBatches(
    recipients,
    { recipientsPerTransaction: limits.transaction ?? 100, recipientsPerSession: limits.session ?? Infinity },
    load,
    async (from, to, isLast) => {
      said.push(`${from}-${to}${isLast ? '!' : ''}`);
      const outcome = answer(said.length);
      return outcome === undefined ? undefined : Array.from({ length: to - from }, () => outcome);
    },
  );
  return [said.join(' '), outcomes.map(({ kind }) => kind[0]).join(''), load.recipients];
}

test('all recipients go in one transaction where it takes them', async () => {
  assert.deepEqual(await spoken(3, {}), ['0-3!', 'ddd', 3]);
  assert.deepEqual(await spoken(3, { transaction: 3, session: 3 }), ['0-3!', 'ddd', 3]);
});

test('more recipients than a transaction takes go in further ones', async () => {
  assert.deepEqual(await spoken(7, { transaction: 3 }), ['0-3 3-6 6-7!', 'ddddddd', 7]);
});

test('recipients whom a session no longer takes are left open for the next one', async () => {
  assert.deepEqual(await spoken(7, { transaction: 3, session: 5 }), ['0-3 3-5!', 'ddddd', 5]);
  assert.deepEqual(await spoken(7, { session: 10, carried: 6 }), ['0-4!', 'dddd', 10]);
});

test('a peer that defers the message is not asked again for each batch of it', async () => {
  assert.deepEqual(await spoken(5, { transaction: 2 }, () => later), ['0-2', 'ttttt', 5]);
  // Full mailboxes are those recipients' own, and a refused sender is refused for whoever was named.
  assert.deepEqual(await spoken(3, { transaction: 1 }, () => full), ['0-1 1-2 2-3!', 'ttt', 3]);
  assert.deepEqual(await spoken(3, { transaction: 2 }, () => refused), ['0-2 2-3!', 'ppp', 3]);
});

test('after a doubt, or at a session that ended, nobody else is named', async () => {
  assert.deepEqual(await spoken(5, { transaction: 2 }, (batch) => (batch === 1 ? delivered : lost)), [
    '0-2 2-4',
    'dduu',
    5,
  ]);
  assert.deepEqual(await spoken(5, { transaction: 2 }, (batch) => (batch === 1 ? delivered : undefined)), [
    '0-2 2-4',
    'dd',
    5,
  ]);
});
