// Replies that we author ourselves carry an enhanced status that agrees with their code (RFC 2034 §4, RFC 3463 §2).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatReply, ownReply } from '../../shared/smtp/reply.ts';

test('a reply of our own has a code and a status of the same class, or cannot be made', () => {
  assert.equal(formatReply(ownReply(250, '2.0.0', 'taken')), '250 2.0.0 taken');
  assert.equal(formatReply(ownReply(451, '4.4.6', 'a loop')), '451 4.4.6 a loop');
  assert.equal(formatReply(ownReply(554, '5.6.3', '8 bits')), '554 5.6.3 8 bits');
  for (const [code, status] of [
    [550, '4.7.1'],
    [451, '5.7.1'],
    [250, '5.0.0'],
    [354, '3.0.0'],
    [554, '5.7'],
    [554, ''],
    [554, '5.7.1000'],
  ] as const) {
    assert.throws(() => ownReply(code, status, 'no'), /disagrees with enhanced status/, `${code} ${status}`);
  }
});
