// The frame parser and its counterpart under generated input: any cuts, any headers, any damage.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type FrameSource, formatFrames } from '../../shared/xfer/frame-format.ts';
import { FrameParser, type FramesResult, keepInMemory, parseFrames } from '../../shared/xfer/frame-parser.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);

function parse(body: Buffer): FramesResult {
  return parseFrames(body, DEFAULT_LIMITS, NOW_MS);
}

function parseChunks(chunks: readonly Buffer[]): FramesResult {
  const parser = new FrameParser(DEFAULT_LIMITS, NOW_MS, keepInMemory);
  for (const chunk of chunks) parser.push(chunk);
  return parser.end();
}

describe('frames of any headers and octets', () => {
  test('parse the same at any number of cuts', () => {
    fc.assert(
      fc.property(frameSources(), fc.array(fc.nat(), { maxLength: 12 }), (sources, numbers) => {
        const octets = Buffer.concat(formatFrames(sources));
        const cuts = numbers.map((number) => number % (octets.length + 1)).sort((a, b) => a - b);
        const chunks = [0, ...cuts].map((from, i) => octets.subarray(from, cuts[i] ?? octets.length));
        assert.deepEqual(parseChunks(chunks), parse(octets));
      }),
    );
  });

  test('writes what parses back to the same headers and octets', () => {
    fc.assert(
      fc.property(frameSources(), (sources) => {
        const result = parse(Buffer.concat(formatFrames(sources)));
        assert.equal(result.ok, true);
        if (!result.ok) return;
        const expected = sources.map(({ header, content }) =>
          content === undefined ? { kind: 'upload', header } : { kind: 'message', header, content },
        );
        assert.deepEqual(result.messages, expected);
      }),
    );
  });
});

describe('frames with octets changed at random', () => {
  test('are parsed or refused, never thrown at', () => {
    const change = fc.record({
      at: fc.nat(),
      octet: fc.nat(255),
      kind: fc.constantFrom('set', 'insert', 'delete'),
    });
    fc.assert(
      fc.property(frameSources(), fc.array(change, { minLength: 1, maxLength: 6 }), (sources, changes) => {
        let octets = [...Buffer.concat(formatFrames(sources))];
        for (const { at, octet, kind } of changes) {
          const place = at % octets.length;
          octets = octets.toSpliced(place, kind === 'insert' ? 0 : 1, ...(kind === 'delete' ? [] : [octet]));
        }
        const result = parse(Buffer.from(octets));
        if (result.ok) assert.ok(result.messages.length > 0);
        else assert.ok(result.problem.status === 400 || result.problem.status === 413);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Headers with every optional field present or not, and content of any octets. */
function frameSources(): fc.Arbitrary<FrameSource[]> {
  const address = fc.constantFrom('a@example.net', '"a b"@example.net', 'a@[192.0.2.1]', 'a@bücher.example');
  const instant = fc.integer({ min: NOW_MS - 86_400_000, max: NOW_MS });
  const recipient = fc.record(
    {
      address,
      orcpt: fc.constantFrom('rfc822;a@example.net', 'utf-8;用户@example.net'),
      notify: fc.constantFrom<('NEVER' | 'SUCCESS' | 'DELAY')[]>(['NEVER'], ['SUCCESS', 'DELAY']),
    },
    { requiredKeys: ['address'], noNullPrototype: true },
  );
  const envelope = fc.record(
    {
      sender: fc.oneof(fc.constant(''), address),
      recipients: fc.array(recipient, { minLength: 1, maxLength: 4 }),
      body: fc.constantFrom<'7BIT' | '8BITMIME'>('7BIT', '8BITMIME'),
      smtputf8: fc.boolean(),
      requireTls: fc.boolean(),
      envid: fc.constantFrom('QQ+31', 'a b'),
      ret: fc.constantFrom<'FULL' | 'HDRS'>('FULL', 'HDRS'),
    },
    { requiredKeys: ['sender', 'recipients', 'body', 'smtputf8', 'requireTls'], noNullPrototype: true },
  );
  const rest = fc.record(
    {
      id: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
      envelope,
      attempts: fc.integer({ min: 0, max: 65_535 }),
      meta: fc.constantFrom({}, { tenant: 'acme', n: [1, { é: null }] }),
      receivedAtMs: instant,
      receivedFrom: fc.constantFrom('mx1.example.com', '[192.0.2.1]'),
      dueAtMs: instant,
      expiresAtMs: fc.integer({ min: NOW_MS + 1, max: NOW_MS + 8 * 86_400_000 }),
      lastReply: fc.constantFrom(
        { code: 451, text: 'a\nb' },
        { code: 550, enhanced: '5.1.1', text: 'é', host: 'mx' },
      ),
    },
    { requiredKeys: ['id', 'envelope', 'attempts', 'meta'], noNullPrototype: true },
  );
  const inline = fc.tuple(rest, fc.uint8Array({ maxLength: 60 })).map(([header, octets]) => ({
    header: { ...header, sizeBytes: octets.length, upload: false },
    content: Buffer.from(octets),
  }));
  const upload = rest.map((header) => ({
    header: { ...header, sizeBytes: 20_000_000, upload: true, sha256: 'ab'.repeat(32) },
  }));
  return fc.array(fc.oneof({ weight: 4, arbitrary: inline }, upload), { minLength: 1, maxLength: 4 });
}
