// What stands around a transfer: patience, upload tickets, withdrawal.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import { parsePatience } from '../../shared/xfer/patience.ts';
import { formatUploadTicket, parseUploadRequest, parseUploadTicket } from '../../shared/xfer/upload.ts';
import { formatNotWithdrawn, formatWithdrawn, parseWithdrawal } from '../../shared/xfer/withdrawal.ts';

function received(answer: { status: number; body: string }) {
  return { status: answer.status, headers: {}, body: Buffer.from(answer.body) };
}

describe("a client's patience", () => {
  test('is 29 seconds unless it says less, at least 2', () => {
    const cases: readonly [value: string | undefined, patienceMs: number][] = [
      [undefined, 29_000],
      ['10000', 10_000],
      [' 2000 ', 2000],
      ['600000', 29_000],
    ];
    for (const [value, patienceMs] of cases) assert.deepEqual(parsePatience(value), { ok: true, patienceMs });
  });

  test('that is no number of milliseconds, or less than 2 seconds, is 400', () => {
    for (const value of ['', '10s', '1999', '-1', '1e4', '5000.5', '9999999999', '5000, 6000']) {
      const result = parsePatience(value);
      assert.equal(result.ok ? 'taken' : result.problem.code, 'bad-patience', value);
    }
  });
});

describe('an upload request', () => {
  const request = { id: 'a', sizeBytes: 20_000_000, sha256: 'ab'.repeat(32) };

  test('names the message and what will be put', () => {
    assert.deepEqual(parseUploadRequest(Buffer.from(JSON.stringify(request)), DEFAULT_LIMITS), {
      ok: true,
      request,
    });
  });

  const faults: readonly [title: string, body: string, code: string][] = [
    ['no body', '', 'empty-body'],
    ['no JSON', 'x', 'bad-json'],
    ['an id with a slash', JSON.stringify({ ...request, id: '../x' }), 'bad-id'],
    ['no size', JSON.stringify({ ...request, sizeBytes: undefined }), 'bad-size'],
    ['a hash in upper case', JSON.stringify({ ...request, sha256: 'AB'.repeat(32) }), 'bad-field'],
    ['an unknown field', JSON.stringify({ ...request, key: 'spool/x' }), 'bad-field'],
    ['50 MiB and an octet', JSON.stringify({ ...request, sizeBytes: 52_428_801 }), 'message-too-large'],
  ];
  for (const [title, body, code] of faults) {
    test(`with ${title} is refused with ${code}`, () => {
      const result = parseUploadRequest(Buffer.from(body), DEFAULT_LIMITS);
      assert.equal(result.ok ? 'taken' : result.problem.code, code);
    });
  }

  test('is answered by a ticket that the client reads back', () => {
    const ticket = {
      url: 'https://spool.example/x?sig=1',
      method: 'PUT' as const,
      headers: { 'content-length': '20000000', 'x-amz-checksum-sha256': 'q80=' },
      expiresAtMs: Date.UTC(2026, 10, 22, 12, 15, 0),
    };
    const answer = formatUploadTicket(ticket);
    assert.equal(
      answer.body,
      '{"url":"https://spool.example/x?sig=1","method":"PUT",' +
        '"headers":{"content-length":"20000000","x-amz-checksum-sha256":"q80="},"expiresAt":"2026-11-22T12:15:00.000Z"}',
    );
    assert.deepEqual(parseUploadTicket(received(answer)), ticket);
  });

  test('answered by anything else gives no ticket', () => {
    const good = JSON.parse(
      formatUploadTicket({ url: 'https://a.example', method: 'PUT', headers: {}, expiresAtMs: 0 }).body,
    );
    const bad: readonly [status: number, body: unknown][] = [
      [503, good],
      [200, '<html>'],
      [200, { ...good, url: 'not a url' }],
      [200, { ...good, method: 'DELETE' }],
      [200, { ...good, headers: { a: 1 } }],
      [200, { ...good, headers: undefined }],
      [200, { ...good, expiresAt: 'soon' }],
    ];
    for (const [status, body] of bad) {
      assert.equal(parseUploadTicket(received({ status, body: JSON.stringify(body) })), undefined);
    }
  });
});

describe('the answer to a withdrawal', () => {
  test('is 200 when the message will never be attempted', () => {
    const answer = formatWithdrawn('a');
    assert.deepEqual([answer.status, answer.body], [200, '{"id":"a","status":"withdrawn"}']);
    assert.deepEqual(parseWithdrawal(received(answer)), { kind: 'withdrawn' });
  });

  test('is 409 with the state when a delivery has begun', () => {
    const answer = formatNotWithdrawn('a', 'finished');
    assert.equal(answer.status, 409);
    assert.equal(JSON.parse(answer.body).code, 'not-withdrawn');
    assert.deepEqual(parseWithdrawal(received(answer)), { kind: 'kept', state: 'finished' });
  });

  test('is unknown for every other answer, so that the client asks again', () => {
    for (const [status, body] of [
      [200, '{}'],
      [200, ''],
      [409, '{}'],
      [404, '{"status":"withdrawn"}'],
      [503, '<html>'],
    ] as const) {
      assert.deepEqual(parseWithdrawal(received({ status, body })), { kind: 'unknown', status });
    }
  });
});
