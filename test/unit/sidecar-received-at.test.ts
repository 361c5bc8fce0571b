import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDateTime, receivedAtMs } from '../../sidecar/intake/received-at.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const TEN_DAYS_MS = 864_000_000;

/** ISO time, or `now`. */
function received(content: string): string {
  const atMs = receivedAtMs(Buffer.from(content, 'utf8'), NOW);
  return atMs === NOW ? 'now' : new Date(atMs).toISOString();
}

const FIELDS = [
  [
    'Postfix',
    'Received: from client.example.com (client.example.com [192.0.2.7])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(No client certificate requested)\r\n\tby mx.example.com (Postfix) with ESMTPS id 4XyZ1c2QqNz9sQ\r\n\tfor <a@example.net>; Mon, 23 Nov 2026 11:05:07 +0100 (CET)\r\n',
    '2026-11-23T10:05:07.000Z',
  ],
  [
    'Postfix, submitted on the machine',
    'Received: by mx.example.com (Postfix, from userid 1000)\r\n\tid 8C4B14A0F2; Sun, 22 Nov 2026 23:59:59 -0500 (EST)\r\n',
    '2026-11-23T04:59:59.000Z',
  ],
  [
    'Exim',
    'Received: from [192.0.2.7] (helo=client.example.com)\r\n\tby mx.example.com with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.98)\r\n\t(envelope-from <b@example.com>)\r\n\tid 1vMxyz-00000001abc-2DEF\r\n\tfor a@example.net;\r\n\tMon, 23 Nov 2026 09:15:00 +0000\r\n',
    '2026-11-23T09:15:00.000Z',
  ],
  [
    'Haraka',
    'Received: from client.example.com (client.example.com [192.0.2.7])\r\n\tby mx.example.com (Haraka/3.1.1) with ESMTPSA id 0D2A7B9E-5C3F-4F11-8F6E-0A1B2C3D4E5F.1\r\n\tenvelope-from <b@example.com>\r\n\ttls TLS_AES_256_GCM_SHA384 (authenticated bits=0);\r\n\tMon, 23 Nov 2026 06:00:01 -0300\r\n',
    '2026-11-23T09:00:01.000Z',
  ],
  [
    'Momentum',
    'Received: from [192.0.2.7] ([192.0.2.7:52710] helo=client.example.com)\r\n\tby mta1.example.com (envelope-from <b@example.com>)\r\n\t(ecelerity 4.4.1.20033 r(msys-ecelerity:)) with ESMTP\r\n\tid 6B/F1-12345-9A8B7C6D; Sat, 21 Nov 2026 15:30:00 -0800\r\n',
    '2026-11-21T23:30:00.000Z',
  ],
  [
    'KumoMTA',
    'Received: from client.example.com (192.0.2.7:41234)\r\n  by mta1.example.com (KumoMTA 192.0.2.1:25)\r\n  with ESMTP id 5f0e7a52c89611f0b0d20242ac110002 for <a@example.net>;\r\n  Mon, 23 Nov 2026 08:08:08 +0000\r\n',
    '2026-11-23T08:08:08.000Z',
  ],
  [
    'Exchange',
    'Received: from EX1.example.com (2001:db8::1) by EX2.example.com\r\n (2001:db8::2) with Microsoft SMTP Server (version=TLS1_2,\r\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.1544.9; Mon, 23 Nov\r\n 2026 10:59:58 +0100\r\n',
    '2026-11-23T09:59:58.000Z',
  ],
  [
    'Sendmail',
    'Received: (from b@localhost)\r\n\tby mx.example.com (8.18.1/8.18.1/Submit) id 5AN8x1Zz012345;\r\n\tMon, 23 Nov 2026 08:00:00 GMT\r\n',
    '2026-11-23T08:00:00.000Z',
  ],
] as const;

test('the time at which an MTA took a message is read from the field that it writes', () => {
  for (const [mta, field, expected] of FIELDS) {
    assert.equal(received(`${field}Subject: hello\r\n\r\nHello.\r\n`), expected, mta);
  }
});

test('only the topmost Received counts, wherever it stands among other fields', () => {
  const [, postfix] = FIELDS[0];
  const [, exim] = FIELDS[2];
  assert.equal(received(`${exim}${postfix}\r\n`), '2026-11-23T09:15:00.000Z');
  assert.equal(
    received(`X-Other: 1\r\n\tfolded; Mon, 1 Jan 2024 00:00:00 +0000\r\n${exim}\r\n`),
    '2026-11-23T09:15:00.000Z',
  );
  assert.equal(received(`Received: by mx; no date\r\n${exim}\r\n`), 'now', 'what is below is a stranger’s');
  assert.equal(received(`Subject: hello\r\n\r\n${exim}`), 'now', 'what is in the body is text');
});

test('a time outside the last ten days is the nearest one within', () => {
  const at = (date: string): string => received(`Received: by mx.example.com; ${date}\r\n\r\n`);
  assert.equal(at('Mon, 23 Nov 2026 12:00:01 +0000'), 'now');
  assert.equal(at('Fri, 1 Jan 2100 00:00:00 +0000'), 'now');
  assert.equal(at('Fri, 13 Nov 2026 12:00:00 +0000'), '2026-11-13T12:00:00.000Z');
  assert.equal(at('Fri, 13 Nov 2026 11:59:59 +0000'), '2026-11-13T12:00:00.000Z');
  assert.equal(at('Thu, 1 Jan 1970 00:00:00 +0000'), '2026-11-13T12:00:00.000Z');
});

const DATES = [
  ['Mon, 23 Nov 2026 10:00:00 +0000', '2026-11-23T10:00:00.000Z'],
  ['23 Nov 2026 10:00 +0000', '2026-11-23T10:00:00.000Z'],
  ['mon,23 nov 2026 10:00:00 -0000', '2026-11-23T10:00:00.000Z'],
  ['Mon , 23  Nov  26 10 : 00 : 00 EST', '2026-11-23T15:00:00.000Z'],
  ['23 Nov 99 10:00:00 PDT', '1999-11-23T17:00:00.000Z'],
  ['23 Nov 126 10:00:00 UT', '2026-11-23T10:00:00.000Z'],
  ['23 Nov 2026 10:00:00 Z', '2026-11-23T10:00:00.000Z'],
  ['23 Nov 2026 10:00:00 J', '2026-11-23T10:00:00.000Z'],
  ['23 Nov 2026 10:00:00 CEST', '2026-11-23T10:00:00.000Z'],
  ['31 Dec 2016 23:59:60 +0000', '2017-01-01T00:00:00.000Z'],
  ['29 Feb 2024 00:00:00 +1400', '2024-02-28T10:00:00.000Z'],
  ['29 Feb 2026 00:00:00 +0000', undefined],
  ['31 Nov 2026 00:00:00 +0000', undefined],
  ['0 Nov 2026 00:00:00 +0000', undefined],
  ['23 Nov 2026 24:00:00 +0000', undefined],
  ['23 Nov 2026 10:60:00 +0000', undefined],
  ['23 Nov 2026 10:00:00 +0060', undefined],
  ['23 Nov 2026 10:00:00', undefined],
  ['Xyz, 23 Nov 2026 10:00:00 +0000', undefined],
  ['23 Brumaire 2026 10:00:00 +0000', undefined],
  ['2026-11-23T10:00:00Z', undefined],
  ['', undefined],
] as const;

test('a date-time is read with its obsolete forms, and nothing else is', () => {
  for (const [text, expected] of DATES) {
    const atMs = parseDateTime(text);
    assert.equal(atMs === undefined ? undefined : new Date(atMs).toISOString(), expected, text);
  }
});

test('comments and quoted strings hide semicolons, nest, and may be broken', () => {
  const date = 'Mon, 23 Nov 2026 10:00:00 +0000';
  for (const value of [
    `by mx (a; (b; c) \\) ;) ; ${date} (zone; x)`,
    `by mx (a) for "a;b"@example.net; ${date}`,
    `by mx; Mon(day), 23 (of) Nov 2026 10:00:00 +0000`,
  ])
    assert.equal(received(`Received: ${value}\r\n\r\n`), '2026-11-23T10:00:00.000Z', value);
  assert.equal(received(`Received: by mx (open; ${date}\r\n\r\n`), 'now');
  assert.equal(received(`Received: by mx "open; ${date}\r\n\r\n`), 'now');
  assert.equal(received(`Received : by mx; ${date}\r\n\r\n`), '2026-11-23T10:00:00.000Z');
  assert.equal(received(`received:by mx;${date}`), '2026-11-23T10:00:00.000Z', 'also at the very end');
});

test('whatever stands there, the answer is a time of the last ten days, and comes soon', () => {
  let seed = 20_261_123;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  const parts = [
    'Received:',
    ' ',
    '\t',
    '\r\n',
    '\n',
    ';',
    '(',
    ')',
    '"',
    '\\',
    'Mon,',
    '23',
    'Nov',
    '2026',
    '10:00:00',
    '+0100',
    'EST',
    '\0',
    '\xff',
    ':',
    '99',
    '-',
  ];
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: random(24) }, () => parts[random(parts.length)]).join('');
    const atMs = receivedAtMs(Buffer.from(text, 'latin1'), NOW);
    assert.ok(Number.isSafeInteger(atMs) && atMs <= NOW && atMs >= NOW - TEN_DAYS_MS, JSON.stringify(text));
  }
  for (const hostile of ['(', '"', '\\', ';', ' ', '\r\n ', 'Received: ;'])
    assert.equal(received(`Received: ${hostile.repeat(65_536)}`), 'now');
});

test('every date that is written is read back', () => {
  const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
  for (let hours = 0; hours < 240; hours += 1) {
    const atMs = NOW - hours * 3_600_000 + (hours % 60) * 1_000 - 60_000;
    const utc = new Date(atMs).toUTCString();
    assert.equal(parseDateTime(utc), atMs, utc);
    assert.ok(days.includes(utc.slice(0, 3)));
    assert.equal(
      receivedAtMs(Buffer.from(`Received: by mx; ${utc}\r\n\r\n`), NOW),
      atMs < NOW - TEN_DAYS_MS ? NOW - TEN_DAYS_MS : atMs,
    );
  }
});
