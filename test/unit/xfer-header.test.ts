// The fields of a message: each fault refuses the message alone, with a reply that names the field.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readHeader } from '../../shared/xfer/header.ts';
import { formatInstant, parseInstant } from '../../shared/xfer/instant.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);
const CONTEXT = { nowMs: NOW_MS, maxMessageBytes: 1000 };
const BOUNDARY = { id: '1', sizeBytes: 5, upload: false };

function read(fields: object) {
  return readHeader({ sender: 'b@example.com', recipients: ['a@example.net'], ...fields }, BOUNDARY, CONTEXT);
}

function replyTo(fields: object): string {
  const result = read(fields);
  return result.ok ? 'taken' : `${result.reply.code} ${result.reply.enhanced} ${result.reply.text}`;
}

describe('a field at fault refuses its message', () => {
  const host = 'must be a host name in US-ASCII or an address literal in brackets';
  const instant = 'must be an instant such as 2026-11-22T10:00:00Z (RFC 3339)';
  const orcpt = 'must be addr-type;address, decoded, of at most 500 characters (RFC 3461)';
  const conditions = 'NEVER, SUCCESS, FAILURE, DELAY';
  const cases: readonly [title: string, fields: object, reply: string][] = [
    ['an unknown field', { expiresat: 'x' }, '501 5.5.4 "expiresat" is no field of XFER/1'],
    ['a field of another case', { Sender: '' }, '501 5.5.4 "Sender" is no field of XFER/1'],
    ['a poisoned prototype', JSON.parse('{"__proto__":{}}'), '501 5.5.4 "__proto__" is no field of XFER/1'],
    [
      'an unknown field of a recipient',
      { recipients: [{ address: 'a@example.net', x: 1 }] },
      '501 5.5.4 recipients[0]."x" is no field of XFER/1',
    ],
    [
      'no sender',
      { sender: undefined },
      '501 5.5.4 sender must be a mailbox, or "" for the null reverse path',
    ],
    [
      'null for a sender',
      { sender: null },
      '501 5.5.4 sender must be a mailbox, or "" for the null reverse path',
    ],
    [
      'a sender that injects a line',
      { sender: 'a@b.example>\r\nRCPT TO:<c@d.example' },
      '501 5.1.7 sender holds a control character',
    ],
    ['a sender without a domain', { sender: 'root' }, '501 5.1.7 sender has no @'],
    ['no recipients', { recipients: undefined }, '501 5.5.4 recipients must be a list of 1 to 1000'],
    ['an empty list of recipients', { recipients: [] }, '501 5.5.4 recipients must be a list of 1 to 1000'],
    [
      'one recipient outside of a list',
      { recipients: 'a@example.net' },
      '501 5.5.4 recipients must be a list of 1 to 1000',
    ],
    [
      'a number for a recipient',
      { recipients: [5] },
      '501 5.5.4 recipients[0] must be a mailbox or an object with an address',
    ],
    [
      'a recipient without an address',
      { recipients: [{}] },
      '501 5.5.4 recipients[0].address must be a mailbox',
    ],
    [
      'the fourth recipient with a control',
      { recipients: ['a@b.example', 'c@d.example', 'e@f.example', { address: 'g@h.example\r\n' }] },
      '501 5.1.3 recipients[3].address holds a control character',
    ],
    ['an empty recipient', { recipients: [''] }, '501 5.1.3 recipients[0].address is empty'],
    [
      '1,001 recipients',
      { recipients: Array.from({ length: 1001 }, (_, i) => `u${i}@example.net`) },
      '554 5.5.3 1001 recipients, at most 1000 are taken in one message',
    ],
    [
      '10,000 recipients',
      { recipients: Array.from({ length: 10_000 }, () => null) },
      '554 5.5.3 10000 recipients, at most 1000 are taken in one message',
    ],
    [
      'an ORCPT without a type',
      { recipients: [{ address: 'a@b.example', orcpt: 'a@b.example' }] },
      `501 5.5.4 recipients[0].orcpt ${orcpt}`,
    ],
    [
      'an ORCPT with a line end',
      { recipients: [{ address: 'a@b.example', orcpt: 'rfc822;a\n' }] },
      `501 5.5.4 recipients[0].orcpt ${orcpt}`,
    ],
    [
      'an ORCPT over 500',
      { recipients: [{ address: 'a@b.example', orcpt: `rfc822;${'a'.repeat(494)}` }] },
      `501 5.5.4 recipients[0].orcpt ${orcpt}`,
    ],
    [
      'NOTIFY with NEVER and more',
      { recipients: [{ address: 'a@b.example', notify: ['NEVER', 'DELAY'] }] },
      '501 5.5.4 recipients[0].notify must have NEVER stand alone',
    ],
    [
      'NOTIFY with nothing',
      { recipients: [{ address: 'a@b.example', notify: [] }] },
      `501 5.5.4 recipients[0].notify must be a list of ${conditions}`,
    ],
    [
      'NOTIFY as text',
      { recipients: [{ address: 'a@b.example', notify: 'NEVER' }] },
      `501 5.5.4 recipients[0].notify must be a list of ${conditions}`,
    ],
    [
      'NOTIFY in lower case',
      { recipients: [{ address: 'a@b.example', notify: ['never'] }] },
      `501 5.5.4 recipients[0].notify must be one of ${conditions}`,
    ],
    ['a hash in upper case', { sha256: 'A'.repeat(64) }, '501 5.5.4 sha256 must be 64 lower-case hex digits'],
    ['a short hash', { sha256: 'abc' }, '501 5.5.4 sha256 must be 64 lower-case hex digits'],
    ['an unknown body type', { body: 'BINARYMIME' }, '501 5.5.4 body must be one of 7BIT, 8BITMIME'],
    ['smtputf8 as text', { smtputf8: 'no' }, '501 5.5.4 smtputf8 must be true or false'],
    [
      'UTF-8 in a local part without SMTPUTF8',
      { sender: 'é@example.com', smtputf8: false },
      '553 5.6.7 smtputf8 is false, but a local part is not US-ASCII',
    ],
    ['an empty ENVID', { envid: '' }, '501 5.5.4 envid must be 1 to 100 printable characters'],
    [
      'an ENVID with a line end',
      { envid: 'a\r\nb' },
      '501 5.5.4 envid must be 1 to 100 printable characters',
    ],
    ['an ENVID of 101', { envid: 'a'.repeat(101) }, '501 5.5.4 envid must be 1 to 100 printable characters'],
    ['an unknown RET', { ret: 'ALL' }, '501 5.5.4 ret must be one of FULL, HDRS'],
    ['requireTls as a number', { requireTls: 1 }, '501 5.5.4 requireTls must be true or false'],
    ['a host that injects a line', { receivedFrom: 'a\r\nX: y' }, `501 5.5.4 receivedFrom ${host}`],
    [
      'a negative count of attempts',
      { attempts: -1 },
      '501 5.5.4 attempts must be a whole number from 0 to 65535',
    ],
    ['half an attempt', { attempts: 0.5 }, '501 5.5.4 attempts must be a whole number from 0 to 65535'],
    ['too many attempts', { attempts: 65_536 }, '501 5.5.4 attempts must be a whole number from 0 to 65535'],
    ['a date in words', { receivedAt: 'yesterday' }, `501 5.5.4 receivedAt ${instant}`],
    ['a date in seconds', { dueAt: 1795341600 }, `501 5.5.4 dueAt ${instant}`],
    ['a date that does not exist', { dueAt: '2026-02-30T00:00:00Z' }, `501 5.5.4 dueAt ${instant}`],
    ['a date without an offset', { expiresAt: '2026-11-22T10:00:00' }, `501 5.5.4 expiresAt ${instant}`],
    [
      'a date of 1970',
      { receivedAt: '1970-01-01T00:00:00Z' },
      '501 5.5.4 receivedAt lies before the year 2000',
    ],
    [
      'a reception in the future',
      { receivedAt: '2026-11-22T13:00:01Z' },
      '501 5.5.4 receivedAt lies more than an hour ahead of the clock here',
    ],
    ['a due time in two weeks', { dueAt: '2026-12-06T12:00:00Z' }, '501 5.5.4 dueAt lies over 10 days ahead'],
    [
      'an expiry in two weeks',
      { expiresAt: '2026-12-06T12:00:00Z' },
      '501 5.5.4 expiresAt lies over 10 days after the message was received',
    ],
    [
      'an expiry over 10 days after reception, though within 10 days',
      { receivedAt: '2026-11-15T12:00:00Z', expiresAt: '2026-11-26T12:00:00Z' },
      '501 5.5.4 expiresAt lies over 10 days after the message was received',
    ],
    [
      'an expiry before reception',
      { receivedAt: '2026-11-22T10:00:00Z', expiresAt: '2026-11-22T10:00:00Z' },
      '501 5.5.4 expiresAt does not lie after receivedAt',
    ],
    [
      'a last reply as text',
      { lastReply: '451 x' },
      '501 5.5.4 lastReply must be an object with code and text',
    ],
    ['a last reply without a code', { lastReply: { text: 'x' } }, '501 5.5.4 lastReply.code is missing'],
    [
      'a last reply of no reply code',
      { lastReply: { code: 42, text: 'x' } },
      '501 5.5.4 lastReply.code must be a whole number from 200 to 599',
    ],
    [
      'a last reply with a bad status',
      { lastReply: { code: 451, enhanced: '4.7', text: 'x' } },
      '501 5.5.4 lastReply.enhanced must be of the form 4.7.1',
    ],
    [
      'a last reply with an unknown field',
      { lastReply: { code: 451, text: 'x', why: 1 } },
      '501 5.5.4 lastReply."why" is no field of XFER/1',
    ],
    [
      'a last reply of a broken host',
      { lastReply: { code: 451, text: 'x', host: ' ' } },
      `501 5.5.4 lastReply.host ${host}`,
    ],
    ['meta as a list', { meta: [] }, '501 5.5.4 meta must be an object'],
    [
      'meta over 4 KiB',
      { meta: { a: 'é'.repeat(2045) } },
      '501 5.5.4 meta takes 4098 octets, at most 4096 are kept',
    ],
  ];
  for (const [title, fields, reply] of cases) {
    test(`${title}: ${reply}`, () => {
      assert.equal(replyTo(fields), reply);
    });
  }

  test('content over the limit: 552 5.3.4, for an upload too', () => {
    const fields = { sender: '', recipients: ['a@example.net'], sha256: 'a'.repeat(64) };
    for (const upload of [false, true]) {
      assert.deepEqual(readHeader(fields, { id: '1', sizeBytes: 1001, upload }, CONTEXT), {
        ok: false,
        reply: { code: 552, enhanced: '5.3.4', text: 'content of 1001 octets, at most 1000 are taken' },
      });
    }
  });

  test('a reply that quotes the client stays below 512 octets', () => {
    const result = read({ ['é'.repeat(100_000)]: 1 });
    assert.equal(result.ok, false);
    if (!result.ok) assert.ok(Buffer.byteLength(result.reply.text) <= 512);
  });
});

describe('what stands at its limit is taken', () => {
  const cases: readonly [title: string, fields: object][] = [
    ['1,000 recipients', { recipients: Array.from({ length: 1000 }, (_, i) => `u${i}@example.net`) }],
    ['the same recipient twice', { recipients: ['a@example.net', 'a@example.net'] }],
    ['meta of 4,096 octets', { meta: { a: 'é'.repeat(2044) } }],
    ['an ENVID of 100', { envid: 'a'.repeat(100) }],
    ['an ORCPT of 500', { recipients: [{ address: 'a@b.example', orcpt: `rfc822;${'a'.repeat(493)}` }] }],
    ['a reception an hour ahead', { receivedAt: '2026-11-22T13:00:00Z' }],
    ['a reception last year', { receivedAt: '2025-11-22T13:00:00Z' }],
    ['an expiry 10 days ahead', { expiresAt: '2026-12-02T12:00:00Z' }],
    ['an expiry in the past, which the queue sees to', { expiresAt: '2026-11-01T12:00:00Z' }],
    ['a due time in the past', { dueAt: '2026-11-01T12:00:00Z' }],
    ['a last reply of several lines', { lastReply: { code: 451, text: 'a\nb' } }],
  ];
  for (const [title, fields] of cases) {
    test(title, () => {
      assert.equal(replyTo(fields), 'taken');
    });
  }

  test('smtputf8 follows from the local parts where it is not said', () => {
    const cases: readonly [fields: object, smtputf8: boolean][] = [
      [{}, false],
      [{ recipients: ['用户@example.net'] }, true],
      [{ sender: 'é@example.com' }, true],
      [{ recipients: ['a@bücher.example'] }, false],
      [{ smtputf8: true }, true],
    ];
    for (const [fields, smtputf8] of cases) {
      const result = read(fields);
      assert.equal(result.ok && result.header.envelope.smtputf8, smtputf8);
    }
  });

  test('a last reply is cut to 512 octets and its broken characters are replaced', () => {
    const result = read({ lastReply: { code: 451, text: `\ud800${'x'.repeat(600)}` } });
    assert.equal(result.ok, true);
    if (result.ok) assert.equal(result.header.lastReply?.text, `\ufffd${'x'.repeat(509)}`);
  });
});

describe('an instant of the wire', () => {
  test('is RFC 3339 with upper-case T and Z and any offset, cut to milliseconds', () => {
    assert.equal(parseInstant('2026-11-22T10:00:00Z'), 1795341600000);
    assert.equal(parseInstant('2026-11-22T11:30:00.123456789+01:30'), 1795341600123);
    assert.equal(parseInstant('2028-02-29T00:00:00Z'), 1835395200000);
    assert.equal(formatInstant(1795341600123), '2026-11-22T10:00:00.123Z');
  });

  test('is nothing else', () => {
    for (const text of [
      '',
      '2026-11-22',
      '2026-11-22 10:00:00Z',
      '2026-11-22t10:00:00z',
      '2026-11-22T10:00Z',
      '2026-11-22T24:00:00Z',
      '2026-11-22T10:60:00Z',
      '2026-11-22T10:00:00',
      '2026-11-22T10:00:00+2500',
      '2026-11-22T10:00:00+25:00',
      '2026-02-29T10:00:00Z',
      '2026-04-31T10:00:00Z',
      '2026-00-01T10:00:00Z',
      '2026-13-01T10:00:00Z',
      '2026-11-00T10:00:00Z',
      '+002026-11-22T10:00:00Z',
      'Sun, 22 Nov 2026 10:00:00 GMT',
    ]) {
      assert.equal(parseInstant(text), undefined, text);
    }
  });
});
