// The content scan, its judgement, and the conversion of newlines.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bodyType, judgeContent } from '../../shared/message/check-content.ts';
import { ContentScanner, scanContent } from '../../shared/message/content.ts';
import { convertNewlines } from '../../shared/message/newlines.ts';
import { traceHeader } from '../../shared/message/trace.ts';
import { replyClass } from '../../shared/smtp/reply.ts';

const TRACE_HOST = 'xfer.example.org';

function scan(content: string | Buffer) {
  return scanContent(Buffer.from(content), TRACE_HOST);
}

describe('a scan of content', () => {
  test('tells size, hash and everything else of a plain message', () => {
    assert.deepEqual(scan('Received: from a\r\n\tby b;\r\nSubject: x\r\n\r\nReceived: in the body\r\n'), {
      sizeBytes: 63,
      sha256: '322893a9f890a829f5c5e404efa3d768cda0161d47f8c0840af041a3a328ddca',
      newlines: 'crlf',
      has8bit: false,
      receivedFields: 1,
      ownTrace: false,
      endsWithCrlf: true,
    });
  });

  const kinds: readonly [content: string, kind: string][] = [
    ['', 'none'],
    ['one line without an end', 'none'],
    ['a\r\nb\r\n', 'crlf'],
    ['a\r\nb', 'crlf'],
    ['a\nb\n', 'lf'],
    ['\n', 'lf'],
    ['a\r\nb\nc\r\n', 'mixed'],
    ['a\nb\r\n', 'mixed'],
    ['a\r\nb\rc\r\n', 'mixed'],
    ['a\rb\r', 'mixed'],
    ['a\r\r\n', 'mixed'],
    ['a\nb\rc', 'mixed'],
    ['a\r\n.\rb\n.\r\n', 'mixed'],
    ['a\r\nb\r', 'mixed'],
  ];
  for (const [content, kind] of kinds) {
    test(`finds the newlines of ${JSON.stringify(content)} to be ${kind}`, () => {
      assert.equal(scan(content).newlines, kind);
    });
  }

  test('finds one bare newline anywhere in content of many blocks and of lines of any length', () => {
    for (const line of ['\r\n', `${'x'.repeat(76)}\r\n`, `${'y'.repeat(5000)}\r\n`]) {
      const clean = Buffer.from(line.repeat(Math.ceil(200_000 / line.length)));
      assert.equal(scan(clean).newlines, 'crlf');
      for (const at of [0, 65_534, 65_535, 65_536, 65_537, 131_072, clean.length]) {
        for (const bare of ['\r', '\n']) {
          const dirty = Buffer.concat([clean.subarray(0, at), Buffer.from(`x${bare}x`), clean.subarray(at)]);
          assert.equal(scan(dirty).newlines, 'mixed', `${JSON.stringify(bare)} at ${at}`);
        }
      }
    }
  });

  test('takes a CRLF that two blocks share for one', () => {
    for (const before of [65_534, 65_535, 65_536, 131_071]) {
      const content = Buffer.concat([Buffer.alloc(before, 'x'), Buffer.from('\r\nlast\r\n')]);
      assert.equal(scan(content).newlines, 'crlf');
    }
  });

  test('tells 8-bit octets, and that NUL and long lines are none', () => {
    assert.equal(scan('a\r\n\0b\r\n').has8bit, false);
    assert.equal(scan(`${'a'.repeat(5000)}\r\n`).has8bit, false);
    assert.equal(scan(Buffer.from([0x61, 0x80, 0x0d, 0x0a])).has8bit, true);
  });

  test('tells whether the last line ends', () => {
    assert.equal(scan('').endsWithCrlf, false);
    assert.equal(scan('\r\n').endsWithCrlf, true);
    assert.equal(scan('a\n').endsWithCrlf, false);
    assert.equal(scan('a\r\nb').endsWithCrlf, false);
  });

  test('counts Received fields of the header alone, however they are written', () => {
    const header =
      'received: a\r\nRECEIVED : b\r\n folded\r\nX-Received: c\r\nReceived-SPF: d\r\nReceived:e\r\n';
    assert.equal(scan(`${header}\r\nReceived: f\r\n`).receivedFields, 3);
    assert.equal(scan(`${header}`).receivedFields, 3);
    assert.equal(scan('A: b\n\nReceived: c\n').receivedFields, 0);
    assert.equal(scan('A: b\r\n Received: folded into A\r\n\r\n').receivedFields, 0);
    assert.equal(scan('Received: without a line end').receivedFields, 1);
  });

  test('is the same for every cut into chunks', () => {
    const trace = traceHeader({ id: 'abc', acceptedAtMs: 0, traceHost: TRACE_HOST });
    const content = Buffer.concat([
      Buffer.from('Received: from é\r\n by b\r\nSubject: x\r\n'),
      trace,
      Buffer.from('\r\nbody\r\nReceived: no\r\nlast\r\n'),
    ]);
    const whole = scan(content);
    assert.equal(whole.receivedFields, 2);
    assert.equal(whole.ownTrace, true);
    for (let cut = 0; cut <= content.length; cut += 1) {
      const scanner = new ContentScanner(TRACE_HOST);
      scanner.push(content.subarray(0, cut));
      scanner.push(content.subarray(cut));
      assert.deepEqual(scanner.finish(), whole, `cut at ${cut}`);
    }
    const octets = new ContentScanner(TRACE_HOST);
    for (const octet of content) octets.push(Buffer.from([octet]));
    assert.deepEqual(octets.finish(), whole);
  });

  test('of newlines and letters in any order is the same for any cuts', () => {
    const pieces = fc.array(fc.string({ unit: fc.constantFrom('\r', '\n', 'R', ' ', 'x', 'received:') }));
    fc.assert(
      fc.property(pieces, (chunks) => {
        const scanner = new ContentScanner(TRACE_HOST);
        for (const chunk of chunks) scanner.push(Buffer.from(chunk));
        assert.deepEqual(scanner.finish(), scan(chunks.join('')));
      }),
    );
  });
});

describe('the judgement of content', () => {
  const refusing = { bareNewlines: 'refuse' } as const;
  const converting = { bareNewlines: 'convert' } as const;

  test('lets CRLF, no newline, no final newline, no octet, NUL, 8 bits and long lines pass', () => {
    for (const content of ['a\r\n', 'a', 'a\r\nb', '', '\0\r\n', 'é\r\n', `${'a'.repeat(100_000)}\r\n`]) {
      assert.deepEqual(judgeContent(scan(content), refusing), { kind: 'fit' });
      assert.deepEqual(judgeContent(scan(content), converting), { kind: 'fit' });
    }
  });

  test('refuses bare newlines among CRLF for good and calls it smuggling', () => {
    assert.deepEqual(judgeContent(scan('a\r\n.\nb\r\n'), refusing), {
      kind: 'refused',
      reply: {
        code: 554,
        enhanced: '5.6.0',
        text: 'bare CR or LF among CRLF (smuggling): send CRLF only (Bare_Newlines = refuse)',
      },
    });
  });

  test('refuses LF alone and names the mend', () => {
    assert.deepEqual(judgeContent(scan('a\nb\n'), refusing), {
      kind: 'refused',
      reply: {
        code: 554,
        enhanced: '5.6.0',
        text: 'lines end in LF alone: send CRLF, or post as message/rfc822, which converts them',
      },
    });
  });

  test('asks for conversion where the policy converts', () => {
    for (const content of ['a\nb\n', 'a\r\nb\nc\r\n', 'a\rb']) {
      assert.deepEqual(judgeContent(scan(content), converting), { kind: 'convert' });
    }
  });

  test('keeps a message that already carries our trace with the sender, by a transient reply', () => {
    const trace = traceHeader({ id: 'abc', acceptedAtMs: 0, traceHost: TRACE_HOST });
    const judged = judgeContent(scan(Buffer.concat([Buffer.from('X: y\r\n'), trace])), refusing);
    assert.equal(judged.kind, 'refused');
    if (judged.kind !== 'refused') return;
    assert.equal(judged.reply.code, 451);
    assert.equal(judged.reply.enhanced, '4.4.6');
    assert.equal(replyClass(judged.reply), 'transient');
  });

  test('takes 50 Received fields and refuses 51 for good', () => {
    assert.deepEqual(judgeContent(scan('Received: x\r\n'.repeat(50)), refusing), { kind: 'fit' });
    assert.deepEqual(judgeContent(scan('Received: x\r\n'.repeat(51)), refusing), {
      kind: 'refused',
      reply: { code: 554, enhanced: '5.4.6', text: 'loop: 51 Received fields, at most 50 are taken' },
    });
  });

  test('asks again for content that is not what its hash announced', () => {
    const right = scan('a\r\n').sha256;
    assert.deepEqual(judgeContent(scan('a\r\n'), { ...refusing, sha256: right }), { kind: 'fit' });
    assert.deepEqual(judgeContent(scan('b\r\n'), { ...refusing, sha256: right }), {
      kind: 'refused',
      reply: {
        code: 451,
        enhanced: '4.6.0',
        text: 'content does not have the announced sha256; send it again',
      },
    });
  });

  test('declares 8BITMIME when there are 8-bit octets, whatever the client said', () => {
    assert.equal(bodyType(scan('é')), '8BITMIME');
    assert.equal(bodyType(scan('e')), '7BIT');
  });
});

describe('conversion of newlines', () => {
  const conversions: readonly [from: string, to: string][] = [
    ['', ''],
    ['a', 'a'],
    ['a\nb\n', 'a\r\nb\r\n'],
    ['a\rb\r', 'a\r\nb\r\n'],
    ['a\r\nb\r\n', 'a\r\nb\r\n'],
    ['a\r\r\nb\n\rc', 'a\r\n\r\nb\r\n\r\nc'],
    ['\n', '\r\n'],
  ];
  for (const [from, to] of conversions) {
    test(`makes ${JSON.stringify(to)} of ${JSON.stringify(from)}`, () => {
      assert.equal(convertNewlines(Buffer.from(from)).toString(), to);
    });
  }

  test('leaves only CRLF, twice is as once, and no other octet changes', () => {
    const text = fc.string({ unit: fc.constantFrom('\r', '\n', 'x', 'é', '\0') });
    fc.assert(
      fc.property(text, (content) => {
        const converted = convertNewlines(Buffer.from(content));
        assert.ok(['none', 'crlf'].includes(scan(converted).newlines));
        assert.deepEqual(convertNewlines(converted), converted);
        assert.equal(converted.toString().replaceAll('\r\n', ''), content.replaceAll(/[\r\n]/g, ''));
      }),
    );
  });
});
