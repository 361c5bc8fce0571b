// Request bodies of every format, plain and gzipped, good and hostile.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parseTransferBody, type RequestHeaders, type TransferResult } from '../../shared/xfer/body.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);

function parse(headers: RequestHeaders, body: string | Buffer, limits = DEFAULT_LIMITS): TransferResult {
  const request = { endpoint: 'xfer', headers, body: Buffer.from(body) } as const;
  return parseTransferBody(request, { limits, nowMs: NOW_MS, makeId: () => 'made-id' });
}

function json(fields: object): TransferResult {
  return parse({ 'content-type': 'application/json' }, JSON.stringify(fields));
}

/** What came of a request's one message or of the request, in one line. */
function gist(result: TransferResult): string {
  if (!result.ok) return `${result.problem.status} ${result.problem.code}: ${result.problem.detail}`;
  const [message] = result.messages;
  if (message === undefined) return 'nothing';
  if (message.kind === 'refused')
    return `${message.reply.code} ${message.reply.enhanced} ${message.reply.text}`;
  const { id, envelope, sizeBytes } = message.header;
  const recipients = envelope.recipients.map((recipient) => recipient.address).join(' ');
  const content = message.kind === 'message' ? JSON.stringify(message.content.toString()) : 'uploaded';
  return `${result.format} ${id} <${envelope.sender}> ${recipients} ${sizeBytes} ${content}`;
}

const FRAME = '{"id":"1","sender":"","recipients":["a@example.net"],"sizeBytes":2}\nhi';
const MESSAGE = { id: '1', sender: 'b@example.com', recipients: ['a@example.net'] };
const ENVELOPE = { 'x-xfer-sender': 'b@example.com', 'x-xfer-recipients': 'a@example.net' };
const RFC822 = { 'content-type': 'message/rfc822', ...ENVELOPE };

describe('the format of a body', () => {
  test('is told by the Content-Type, in any case and with parameters', () => {
    for (const type of [
      'application/vnd.delay-xfer.v1',
      'Application/VND.delay-xfer.v1; charset=utf-8',
      ' application/vnd.delay-xfer.v1 ;q=1',
    ]) {
      assert.equal(gist(parse({ 'content-type': type }, FRAME)), 'frames 1 <> a@example.net 2 "hi"');
    }
    const content = JSON.stringify({ ...MESSAGE, content: 'x' });
    assert.equal(
      gist(parse({ 'content-type': 'application/json;charset=utf-8' }, content)),
      'json 1 <b@example.com> a@example.net 1 "x"',
    );
    assert.equal(gist(parse(RFC822, 'x')), 'rfc822 made-id <b@example.com> a@example.net 1 "x"');
  });

  test('is none of another or no Content-Type: 415, which names those that are taken', () => {
    const taken = 'send one of application/vnd.delay-xfer.v1, application/json, message/rfc822';
    assert.equal(
      gist(parse({ 'content-type': 'application/x-www-form-urlencoded' }, FRAME)),
      `415 unsupported-media-type: Content-Type "application/x-www-form-urlencoded"; ${taken}`,
    );
    assert.equal(gist(parse({}, FRAME)), `415 unsupported-media-type: no Content-Type; ${taken}`);
    assert.match(gist(parse({ 'content-type': 'application/vnd.delay-xfer.v12' }, FRAME)), /^415 /);
  });

  test('needs octets: an empty body is 400, gzipped too', () => {
    const empty = '400 empty-body: the request carries no message';
    const types = ['application/vnd.delay-xfer.v1', 'application/json', 'message/rfc822'];
    for (const type of types) {
      const headers = { ...ENVELOPE, 'content-type': type };
      assert.equal(gist(parse(headers, '')), empty);
      assert.equal(gist(parse({ ...headers, 'content-encoding': 'gzip' }, '')), empty);
      assert.equal(gist(parse({ ...headers, 'content-encoding': 'gzip' }, gzipSync(''))), empty);
    }
  });
});

describe('a gzipped body', () => {
  const gzip = { 'content-type': 'application/vnd.delay-xfer.v1', 'content-encoding': 'gzip' };

  test('is the same as a plain one', () => {
    assert.equal(gist(parse(gzip, gzipSync(FRAME))), 'frames 1 <> a@example.net 2 "hi"');
    assert.equal(
      gist(parse({ ...gzip, 'content-encoding': ' GZIP ' }, gzipSync(FRAME))),
      gist(parse(gzip, gzipSync(FRAME))),
    );
    assert.equal(
      gist(parse({ ...gzip, 'content-encoding': 'identity' }, FRAME)),
      gist(parse(gzip, gzipSync(FRAME))),
    );
  });

  test('that is none, is cut or is damaged is 400', () => {
    const packed = gzipSync(FRAME);
    const damaged = Buffer.from(packed);
    damaged[packed.length - 6] = (damaged[packed.length - 6] ?? 0) ^ 0xff;
    for (const body of [Buffer.from(FRAME), packed.subarray(0, -1), packed.subarray(0, 5), damaged]) {
      assert.match(gist(parse(gzip, body)), /^400 bad-gzip: the body is no whole gzip stream: /);
    }
  });

  test('that inflates beyond 32 MiB is 413, at the cap is not', () => {
    const bomb = gzipSync(Buffer.alloc(33_554_433));
    assert.ok(bomb.length < 40_000);
    assert.equal(
      gist(parse(gzip, bomb)),
      '413 inflated-too-large: the body inflates to more than 33554432 octets',
    );
    const atCap = gist(parse(gzip, gzipSync(Buffer.alloc(33_554_432, ' '))));
    assert.match(atCap, /^413 header-line-too-long/);
  });

  test('of JSON is bounded at 8 MiB, as plain JSON is', () => {
    const headers = { 'content-type': 'application/json' };
    assert.equal(
      gist(parse({ ...headers, 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(8_388_609)))),
      '413 inflated-too-large: the body inflates to more than 8388608 octets',
    );
    assert.equal(
      gist(parse(headers, Buffer.alloc(8_388_609))),
      '413 body-too-large: the body has 8388609 octets, at most 8388608 are taken; upload large content',
    );
  });

  test('in any other encoding is 415', () => {
    for (const encoding of ['br', 'deflate', 'gzip, gzip', 'zstd']) {
      assert.equal(
        gist(parse({ ...gzip, 'content-encoding': encoding }, gzipSync(FRAME))),
        `415 unsupported-encoding: Content-Encoding "${encoding}"; send gzip or none`,
      );
    }
  });
});

describe('one message in JSON', () => {
  test('carries its content as text in UTF-8 or as base64, octet for octet', () => {
    assert.equal(
      gist(json({ ...MESSAGE, content: 'é\r\n' })),
      'json 1 <b@example.com> a@example.net 4 "é\\r\\n"',
    );
    const octets = Buffer.from([0, 0xff, 0x0d, 0x0a]);
    const result = json({ ...MESSAGE, contentBase64: octets.toString('base64'), sizeBytes: 4 });
    assert.ok(result.ok);
    assert.deepEqual(result.messages[0]?.kind === 'message' && result.messages[0].content, octets);
    assert.equal(gist(json({ ...MESSAGE, content: '' })), 'json 1 <b@example.com> a@example.net 0 ""');
  });

  test('stands for an uploaded message when it carries none', () => {
    const upload = { ...MESSAGE, upload: true, sizeBytes: 9_000_000, sha256: 'a'.repeat(64) };
    assert.equal(gist(json(upload)), 'json 1 <b@example.com> a@example.net 9000000 uploaded');
    assert.equal(gist(json({ ...upload, sha256: undefined })), '501 5.5.4 sha256 is needed with upload');
    assert.match(gist(json({ ...upload, sizeBytes: undefined })), /^400 bad-size: the message: /);
    assert.equal(
      gist(json({ ...upload, content: 'x' })),
      '501 5.5.4 upload stands beside content; send one of them',
    );
  });

  const refused: readonly [title: string, more: object, reply: string][] = [
    ['no content', {}, '501 5.5.4 one of content and contentBase64 is needed'],
    [
      'content twice',
      { content: 'x', contentBase64: 'eA==' },
      '501 5.5.4 one of content and contentBase64 is needed',
    ],
    ['content that is no text', { content: 5 }, '501 5.5.4 content must be a string'],
    [
      'half a character',
      { content: '\ud800' },
      '501 5.5.4 content holds a lone surrogate; send contentBase64',
    ],
    [
      'base64 on lines',
      { contentBase64: 'eA==\n' },
      '501 5.5.4 contentBase64 must be padded base64 on one line (RFC 4648 §4)',
    ],
    [
      'base64 without padding',
      { contentBase64: 'eA' },
      '501 5.5.4 contentBase64 must be padded base64 on one line (RFC 4648 §4)',
    ],
    [
      'base64 for URLs',
      { contentBase64: 'eH-_' },
      '501 5.5.4 contentBase64 must be padded base64 on one line (RFC 4648 §4)',
    ],
    [
      'another size',
      { content: 'é', sizeBytes: 1 },
      "501 5.5.4 sizeBytes is not the content's length, which is 2; it may be left out",
    ],
    ['a field of no frame', { content: 'x', subject: 'y' }, '501 5.5.4 "subject" is no field of XFER/1'],
  ];
  for (const [title, more, reply] of refused) {
    test(`is refused for ${title}`, () => {
      assert.equal(gist(json({ ...MESSAGE, ...more })), reply);
    });
  }

  test('is 400 when it is no object of JSON or has no usable id', () => {
    const headers = { 'content-type': 'application/json' };
    const deep = `{"a":${'['.repeat(1_000_000)}`;
    const cases: readonly [body: string | Buffer, gist: string][] = [
      ['{', '400 bad-json: the body is not JSON'],
      ['[]', '400 bad-json: the body is JSON, but not an object'],
      ['\ufeff{}', '400 bad-json: the body is not JSON'],
      [Buffer.from([0x7b, 0xff, 0x7d]), '400 bad-json: the body is not valid UTF-8'],
      [deep, '400 bad-json: the body nests deeper than 32 levels'],
      ['{}', '400 bad-id: the message: id must be 1 to 64 of A-Z, a-z, 0-9, _ and -'],
      ['{"id":"a/b"}', '400 bad-id: the message: id must be 1 to 64 of A-Z, a-z, 0-9, _ and -'],
    ];
    for (const [body, expected] of cases) assert.equal(gist(parse(headers, body)), expected);
  });

  test('may hold brackets and quotes by the thousand in its content', () => {
    const content = '[{"\\'.repeat(10_000);
    const result = json({ ...MESSAGE, content });
    assert.ok(result.ok && result.messages[0]?.kind === 'message');
    assert.equal(result.messages[0].content.toString(), content);
  });
});

describe('a message/rfc822 body', () => {
  test('is known by its Idempotency-Key, with or without quotes, or by an id made here', () => {
    assert.match(gist(parse({ ...RFC822, 'idempotency-key': 'key-1' }, 'x')), /^rfc822 key-1 /);
    assert.match(gist(parse({ ...RFC822, 'idempotency-key': '"key-1"' }, 'x')), /^rfc822 key-1 /);
    assert.match(gist(parse(RFC822, 'x')), /^rfc822 made-id /);
    for (const key of ['', 'a b', 'a/b', 'x'.repeat(65)]) {
      assert.equal(
        gist(parse({ ...RFC822, 'idempotency-key': key }, 'x')),
        '400 bad-id: Idempotency-Key: id must be 1 to 64 of A-Z, a-z, 0-9, _ and -',
      );
    }
  });

  test('takes its envelope from headers, with angle brackets or without', () => {
    const cases: readonly [sender: string, recipients: string, expected: string][] = [
      ['<>', 'a@example.net', 'rfc822 made-id <> a@example.net 1 "x"'],
      ['', 'a@example.net', 'rfc822 made-id <> a@example.net 1 "x"'],
      [
        '<b@example.com>',
        '<a@example.net>, c@example.net',
        'rfc822 made-id <b@example.com> a@example.net c@example.net 1 "x"',
      ],
      [
        'b@example.com',
        '"a, \\"b"@example.net,c@example.net',
        'rfc822 made-id <b@example.com> "a, \\"b"@example.net c@example.net 1 "x"',
      ],
      ['b@example.com', 'a@example.net,', '501 5.1.3 recipients[1].address is empty'],
      ['b@example.com', '', '501 5.1.3 recipients[0].address is empty'],
      ['b@example.com', 'a@example.net\r\nX: y', '501 5.1.3 recipients[0].address holds a control character'],
      [
        'a@b.example, c@d.example',
        'a@example.net',
        '501 5.1.7 sender has more than one @; a local part that holds one must be quoted',
      ],
    ];
    for (const [sender, recipients, expected] of cases) {
      const headers = { ...RFC822, 'x-xfer-sender': sender, 'x-xfer-recipients': recipients };
      assert.equal(gist(parse(headers, 'x')), expected);
    }
  });

  test('reads UTF-8 addresses as Node hands header octets out, and as other servers do', () => {
    const address = '用户@例え.テスト';
    for (const value of [address, Buffer.from(address, 'utf8').toString('latin1')]) {
      const result = parse({ ...RFC822, 'x-xfer-recipients': value }, 'x');
      assert.equal(gist(result), `rfc822 made-id <b@example.com> ${address} 1 "x"`);
      assert.ok(result.ok && result.messages[0]?.kind === 'message');
      assert.equal(result.messages[0].header.envelope.smtputf8, true);
    }
  });

  test('without its envelope is 400', () => {
    assert.equal(
      gist(parse({ ...RFC822, 'x-xfer-sender': undefined }, 'x')),
      '400 missing-header: X-Xfer-Sender is missing; <> is the null reverse path',
    );
    assert.equal(
      gist(parse({ ...RFC822, 'x-xfer-recipients': undefined }, 'x')),
      '400 missing-header: X-Xfer-Recipients is missing; separate several by commas',
    );
  });

  test('with LF alone throughout becomes CRLF; any other newlines stay as they are', () => {
    const cases: readonly [body: string, content: string][] = [
      ['A: b\n\nc\n', '"A: b\\r\\n\\r\\nc\\r\\n"'],
      ['A: b\r\n\r\nc\r\n', '"A: b\\r\\n\\r\\nc\\r\\n"'],
      ['A: b\r\n\nc\n', '"A: b\\r\\n\\nc\\n"'],
      ['A: b\rc\n', '"A: b\\rc\\n"'],
      ['A: b', '"A: b"'],
    ];
    for (const [body, content] of cases) {
      const octets = Buffer.byteLength(JSON.parse(content));
      assert.equal(
        gist(parse(RFC822, body)),
        `rfc822 made-id <b@example.com> a@example.net ${octets} ${content}`,
      );
    }
  });
});

describe('whatever a body holds', () => {
  test('it is parsed or refused, never thrown at', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '{',
        '}',
        '[',
        '"',
        '"id":"1"',
        ',',
        '"sizeBytes":2',
        '\n',
        '\r\n',
        '\\',
        FRAME,
        JSON.stringify(MESSAGE),
      ),
    );
    const type = fc.constantFrom('application/vnd.delay-xfer.v1', 'application/json', 'message/rfc822');
    const header = fc.oneof(
      fc.constantFrom('a@example.net', '<>', '"', ',', '"\\'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(
        fc.array(piece),
        type,
        header,
        header,
        fc.boolean(),
        (pieces, contentType, sender, recipients, kumo) => {
          const headers = {
            'content-type': contentType,
            'x-xfer-sender': sender,
            'x-xfer-recipients': recipients,
          };
          const request = {
            endpoint: kumo ? 'kumomta' : 'xfer',
            headers,
            body: Buffer.from(pieces.join('')),
          } as const;
          const result = parseTransferBody(request, {
            limits: DEFAULT_LIMITS,
            nowMs: NOW_MS,
            makeId: () => 'x',
          });
          assert.ok(
            result.ok
              ? result.messages.length > 0
              : result.problem.status >= 400 && result.problem.status < 500,
          );
        },
      ),
      { numRuns: 2000 },
    );
  });
});
