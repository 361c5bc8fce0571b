// The frame parser and its counterpart: every cut of the stream gives the same messages, faults of the framing
// fault the request, and what the formatter writes parses back.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatFrameHeader, formatFrames } from '../../shared/xfer/frame-format.ts';
import { FrameParser, type FramesResult, keepInMemory, parseFrames } from '../../shared/xfer/frame-parser.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import type { XferHeader } from '../../shared/xfer/message.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);

function parse(body: string | Buffer, limits = DEFAULT_LIMITS): FramesResult {
  return parseFrames(Buffer.from(body), limits, NOW_MS);
}

function parseChunks(chunks: readonly Buffer[]): FramesResult {
  const parser = new FrameParser(DEFAULT_LIMITS, NOW_MS, keepInMemory);
  for (const chunk of chunks) parser.push(chunk);
  return parser.end();
}

/** A frame with the least header, as text. */
function frame(id: string, content: string, more: object = {}): string {
  const sizeBytes = Buffer.byteLength(content);
  return `${JSON.stringify({ id, sender: '', recipients: ['a@example.net'], sizeBytes, ...more })}\n${content}`;
}

function problemOf(result: FramesResult): [status: number, code: string, detail: string] {
  assert.equal(result.ok, false);
  return result.ok ? [0, '', ''] : [result.problem.status, result.problem.code, result.problem.detail];
}

describe('a transfer of frames', () => {
  test('gives each message its header and its octets', () => {
    const line = JSON.stringify({
      id: '0J9ZK',
      sender: 'b+7@example.com',
      recipients: [{ address: 'a@Example.NET', orcpt: 'rfc822;a@example.net', notify: ['FAILURE', 'DELAY'] }],
      sizeBytes: 8,
      sha256: '0'.repeat(64),
      body: '8BITMIME',
      smtputf8: false,
      envid: 'QQ314159',
      ret: 'HDRS',
      requireTls: true,
      receivedAt: '2026-11-22T10:00:00Z',
      receivedFrom: 'mx1.example.com',
      attempts: 2,
      dueAt: '2026-11-22T13:00:00.5+01:00',
      expiresAt: '2026-11-25T10:00:00Z',
      lastReply: { code: 451, enhanced: '4.7.1', text: 'Greylisted', host: 'mx.example.net' },
      upload: false,
      meta: { tenant: 'acme', binding: 'a' },
    });
    assert.deepEqual(parse(`${line}\nA: b\r\n\r\n${frame('2', '\0\n\r')}`), {
      ok: true,
      messages: [
        {
          kind: 'message',
          header: {
            id: '0J9ZK',
            envelope: {
              sender: 'b+7@example.com',
              recipients: [
                { address: 'a@example.net', orcpt: 'rfc822;a@example.net', notify: ['FAILURE', 'DELAY'] },
              ],
              body: '8BITMIME',
              smtputf8: false,
              requireTls: true,
              envid: 'QQ314159',
              ret: 'HDRS',
            },
            sizeBytes: 8,
            sha256: '0'.repeat(64),
            receivedAtMs: Date.UTC(2026, 10, 22, 10, 0, 0),
            receivedFrom: 'mx1.example.com',
            attempts: 2,
            dueAtMs: Date.UTC(2026, 10, 22, 12, 0, 0, 500),
            expiresAtMs: Date.UTC(2026, 10, 25, 10, 0, 0),
            lastReply: { code: 451, enhanced: '4.7.1', text: 'Greylisted', host: 'mx.example.net' },
            upload: false,
            meta: { tenant: 'acme', binding: 'a' },
          },
          content: Buffer.from('A: b\r\n\r\n'),
        },
        {
          kind: 'message',
          header: {
            id: '2',
            envelope: {
              sender: '',
              recipients: [{ address: 'a@example.net' }],
              body: '7BIT',
              smtputf8: false,
              requireTls: false,
            },
            sizeBytes: 3,
            attempts: 0,
            upload: false,
            meta: {},
          },
          content: Buffer.from('\0\n\r'),
        },
      ],
    });
  });

  test('takes an upload without octets between two messages, and a message of no octets', () => {
    const upload = frame('u', '', { sizeBytes: 20_000_000, upload: true, sha256: 'a'.repeat(64) });
    const result = parse(frame('1', 'x') + upload + frame('3', '') + frame('4', 'yz'));
    assert.equal(result.ok, true);
    if (!result.ok) return;
    assert.deepEqual(
      result.messages.map((message) => [
        message.kind,
        message.kind === 'refused' ? message.id : message.header.id,
        message.kind === 'message' ? message.content.toString() : '',
      ]),
      [
        ['message', '1', 'x'],
        ['upload', 'u', ''],
        ['message', '3', ''],
        ['message', '4', 'yz'],
      ],
    );
  });

  test('loses only the message whose header is at fault, and its neighbours keep their octets', () => {
    const body =
      frame('1', 'one') +
      frame('2', 'two\n{"id"', { recipients: ['a@example.net', 'b@example.net', 'nobody'] }) +
      frame('3', 'three') +
      frame('4', '', { sender: 5 }) +
      frame('5', '', { upload: true }) +
      frame('6', 'six');
    const result = parse(body);
    assert.equal(result.ok, true);
    if (!result.ok) return;
    assert.deepEqual(
      result.messages.map((message) =>
        message.kind === 'message'
          ? [message.header.id, message.content.toString()]
          : message.kind === 'refused'
            ? [message.id, message.reply.code, message.reply.enhanced, message.reply.text]
            : [],
      ),
      [
        ['1', 'one'],
        ['2', 501, '5.1.3', 'recipients[2].address has no @'],
        ['3', 'three'],
        ['4', 501, '5.5.4', 'sender must be a mailbox, or "" for the null reverse path'],
        ['5', 501, '5.5.4', 'sha256 is needed with upload'],
        ['6', 'six'],
      ],
    );
  });

  test('keeps a message over the size limit out and skips its octets', () => {
    const result = parse(frame('1', 'x'.repeat(11)) + frame('2', 'x'.repeat(10)), {
      ...DEFAULT_LIMITS,
      maxMessageBytes: 10,
    });
    assert.equal(result.ok, true);
    if (!result.ok) return;
    assert.deepEqual(result.messages[0], {
      kind: 'refused',
      id: '1',
      reply: { code: 552, enhanced: '5.3.4', text: 'content of 11 octets, at most 10 are taken' },
    });
    assert.equal(result.messages[1]?.kind, 'message');
  });
});

describe('a fault of the framing', () => {
  const recipients = '"recipients":["a@example.net"]';
  const wrongSize = `frame 1: sizeBytes must be a whole number of octets from 0 to 9007199254740991`;
  const wrongId = 'frame 1: id must be 1 to 64 of A-Z, a-z, 0-9, _ and -';
  const cases: readonly [
    title: string,
    body: string | Buffer,
    status: number,
    code: string,
    detail: string,
  ][] = [
    ['no octet at all', '', 400, 'empty-body', 'a transfer has at least one frame'],
    ['a line that is no JSON', 'hello\n', 400, 'bad-frame', 'frame 1: the line is not JSON'],
    ['an empty line', '\n', 400, 'bad-frame', 'frame 1: the line is not JSON'],
    ['an array', '[1]\n', 400, 'bad-frame', 'frame 1: the line is JSON, but not an object'],
    ['null', 'null\n', 400, 'bad-frame', 'frame 1: the line is JSON, but not an object'],
    ['a number', '5\n', 400, 'bad-frame', 'frame 1: the line is JSON, but not an object'],
    [
      'invalid UTF-8',
      Buffer.from([...Buffer.from('{"id":"1'), 0xff, ...Buffer.from('"}\n')]),
      400,
      'bad-frame',
      'frame 1: the line is not valid UTF-8',
    ],
    [
      'JSON of great depth',
      `{"id":"1","sizeBytes":0,"meta":${'['.repeat(400_000)}${']'.repeat(400_000)}}\n`,
      400,
      'bad-frame',
      'frame 1: the line nests deeper than 32 levels',
    ],
    ['no id', `{"sizeBytes":0}\n`, 400, 'bad-id', wrongId],
    ['an id with a slash', `{"id":"a/../b","sizeBytes":0}\n`, 400, 'bad-id', wrongId],
    ['an empty id', `{"id":"","sizeBytes":0}\n`, 400, 'bad-id', wrongId],
    ['an id of 65', `{"id":"${'a'.repeat(65)}","sizeBytes":0}\n`, 400, 'bad-id', wrongId],
    ['an id that ends in a line feed', '{"id":"a\\n","sizeBytes":0}\n', 400, 'bad-id', wrongId],
    ['a number for an id', `{"id":5,"sizeBytes":0}\n`, 400, 'bad-id', wrongId],
    ['no size', `{"id":"1",${recipients}}\n`, 400, 'bad-size', wrongSize],
    ['a negative size', `{"id":"1","sizeBytes":-1}\n`, 400, 'bad-size', wrongSize],
    ['half an octet', `{"id":"1","sizeBytes":1.5}\n`, 400, 'bad-size', wrongSize],
    ['a size as text', `{"id":"1","sizeBytes":"5"}\n`, 400, 'bad-size', wrongSize],
    ['a size that overflows', `{"id":"1","sizeBytes":9007199254740992}\n`, 400, 'bad-size', wrongSize],
    ['an infinite size', `{"id":"1","sizeBytes":1e999}\n`, 400, 'bad-size', wrongSize],
    [
      'a size that no request holds',
      `{"id":"1","sizeBytes":33554433}\n`,
      413,
      'frame-too-large',
      'frame 1: 33554433 octets, a request holds at most 33554432; upload it',
    ],
    [
      'an upload that is neither',
      `{"id":"1","sizeBytes":1,"upload":"yes"}\n`,
      400,
      'bad-upload',
      'frame 1: upload must be true or false',
    ],
    [
      'content cut short',
      frame('1', 'x') + frame('2', 'yyy').slice(0, -1),
      400,
      'frame-truncated',
      'frame 2: 2 of 3 octets of content came',
    ],
    [
      'refused content cut short',
      frame('1', 'yyy', { sender: 5 }).slice(0, -1),
      400,
      'frame-truncated',
      'frame 1: 2 of 3 octets of content came',
    ],
    [
      'a header cut short',
      '{"id":"1"',
      400,
      'frame-truncated',
      'frame 1: 9 octets without a line end; cut off, or sizeBytes before was wrong',
    ],
    [
      'octets after the last frame',
      `${frame('1', 'x')}\r`,
      400,
      'frame-truncated',
      'frame 2: 1 octets without a line end; cut off, or sizeBytes before was wrong',
    ],
    [
      'a line end after the last frame',
      `${frame('1', 'x')}\n`,
      400,
      'bad-frame',
      'frame 2: the line is not JSON',
    ],
    [
      'a size one too small',
      frame('1', 'xx', { sizeBytes: 1 }) + frame('2', 'y'),
      400,
      'bad-frame',
      'frame 2: the line is not JSON',
    ],
  ];
  for (const [title, body, status, code, detail] of cases) {
    test(`${title} faults the whole request with ${code}`, () => {
      assert.deepEqual(problemOf(parse(body)), [status, code, detail]);
    });
  }

  test('a header line over 1 MiB faults the request as soon as it is too long', () => {
    const parser = new FrameParser(DEFAULT_LIMITS, NOW_MS, keepInMemory);
    assert.equal(parser.push(Buffer.alloc(1_048_576, ' ')), true);
    assert.equal(parser.push(Buffer.from(' ')), false);
    assert.deepEqual(problemOf(parser.end()), [
      413,
      'header-line-too-long',
      'frame 1: no LF within 1048576 octets; a frame begins with one line of JSON',
    ]);
  });

  test('more than 1,000 messages fault the request, 1,000 do not', () => {
    assert.equal(parse(frame('1', 'x').repeat(1000)).ok, true);
    assert.deepEqual(problemOf(parse(frame('1', 'x').repeat(1001))), [
      413,
      'too-many-frames',
      'at most 1000 messages are taken in one transfer',
    ]);
  });

  test('a fault stands whatever follows it', () => {
    const parser = new FrameParser(DEFAULT_LIMITS, NOW_MS, keepInMemory);
    assert.equal(parser.push(Buffer.from('hello\n')), false);
    assert.equal(parser.push(Buffer.from(frame('1', 'x'))), false);
    assert.deepEqual(problemOf(parser.end()), [400, 'bad-frame', 'frame 1: the line is not JSON']);
  });
});

describe('frames cut anywhere', () => {
  const bodies: readonly [title: string, body: string][] = [
    [
      'three good frames',
      frame('1', 'x\r\n') + frame('é2', '').replace('é', '') + frame('3', '{"id":"4"}\n'),
    ],
    ['a refused frame between two', frame('1', 'a\n') + frame('2', 'bb\n', { nope: 1 }) + frame('3', 'c')],
    ['a truncated frame', frame('1', 'a\n') + frame('2', 'bb\n').slice(0, -1)],
    ['a broken line', `${frame('1', 'a\n')}oops\n${frame('2', 'b')}`],
    ['UTF-8 in the header', frame('1', 'é', { sender: '用户@example.net' })],
  ];
  for (const [title, body] of bodies) {
    test(`parse the same at every cut: ${title}`, () => {
      const octets = Buffer.from(body);
      const whole = parse(octets);
      for (let cut = 0; cut <= octets.length; cut += 1) {
        assert.deepEqual(
          parseChunks([octets.subarray(0, cut), octets.subarray(cut)]),
          whole,
          `cut at ${cut}`,
        );
      }
      assert.deepEqual(parseChunks([...octets].map((octet) => Buffer.from([octet]))), whole);
    });
  }
});

describe('the formatter of frames', () => {
  test('writes one line of compact JSON without what is at its default', () => {
    const header: XferHeader = {
      id: '1',
      envelope: {
        sender: '',
        recipients: [{ address: 'a@example.net' }],
        body: '7BIT',
        smtputf8: false,
        requireTls: false,
      },
      sizeBytes: 3,
      attempts: 0,
      upload: false,
      meta: {},
    };
    assert.equal(
      formatFrameHeader(header).toString(),
      '{"id":"1","sender":"","recipients":[{"address":"a@example.net"}],"sizeBytes":3,"smtputf8":false}\n',
    );
    assert.equal(
      Buffer.concat(formatFrames([{ header, content: Buffer.from('abc') }]))
        .toString()
        .slice(-4),
      '\nabc',
    );
    assert.throws(
      () => formatFrames([{ header, content: Buffer.from('ab') }]),
      /announces 3 octets and has 2/,
    );
    assert.throws(() => formatFrames([{ header }]), /announces 3 octets and has 0/);
  });
});
