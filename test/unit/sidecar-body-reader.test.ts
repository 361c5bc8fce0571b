// The listener reads bodies as a stream; the receiver parses the same bodies whole. Both must say the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseTransferBody, type TransferRequest } from '../../shared/xfer/body.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import { readBody } from '../../sidecar/http/body-reader.ts';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';

const NOW_MS = Date.parse('2026-11-23T10:00:00Z');
const CONTEXT = { limits: DEFAULT_LIMITS, nowMs: NOW_MS, makeId: () => 'made' };
const LETTER = 'Subject: größe\r\n\r\n.\r\nend';

function frame(id: string, fields: object = {}): string {
  const sizeBytes = Buffer.byteLength(LETTER);
  return `${JSON.stringify({ id, sender: '', recipients: ['a@b.example'], sizeBytes, ...fields })}\n${LETTER}`;
}

const KUMO = JSON.stringify({
  id: 'e6d0c8a4f7b94c1d9a3e5b7f2c4d6e80',
  sender: 'b@example.com',
  recipient: 'a@example.net',
  meta: { xfer_queue_info: { num_attempts: 2 } },
});
const RFC822 = {
  'content-type': 'message/rfc822',
  'x-xfer-sender': 'b@example.com',
  'x-xfer-recipients': 'a@b.example',
};
const FRAMES = { 'content-type': 'application/vnd.delay-xfer.v1' };

const REQUESTS: readonly (readonly [string, TransferRequest])[] = (
  [
    ['frames', 'xfer', FRAMES, frame('one') + frame('two', { recipients: ['nobody'] }) + frame('three')],
    [
      'an upload among frames',
      'xfer',
      FRAMES,
      `${frame('u', { upload: true, sha256: '0'.repeat(64) }).split('\n')[0]}\n${frame('v')}`,
    ],
    ['frames that are cut off', 'xfer', FRAMES, frame('one').slice(0, -1)],
    ['a frame without JSON', 'xfer', FRAMES, `${frame('one')}no JSON\n`],
    ['no frames', 'xfer', FRAMES, ''],
    ['a message with CRLF', 'xfer', RFC822, LETTER],
    ['a message with LF alone', 'xfer', RFC822, LETTER.replaceAll('\r\n', '\n')],
    ['a message with both', 'xfer', RFC822, `a\n${LETTER}`],
    ['no message', 'xfer', RFC822, ''],
    [
      'JSON',
      'xfer',
      { 'content-type': 'application/json' },
      JSON.stringify({ id: 'j', sender: '', recipients: ['a@b.example'], content: LETTER }),
    ],
    ['a transfer of KumoMTA', 'kumomta', {}, `${KUMO}\n${LETTER}`],
    ['a transfer of KumoMTA without content', 'kumomta', {}, `${KUMO}\n`],
    ['a transfer of KumoMTA without its line end', 'kumomta', {}, KUMO],
  ] as const
).map(([name, endpoint, headers, body]) => [name, { endpoint, headers, body: Buffer.from(body) }]);

/** What the receiver makes of it. */
function whole(request: TransferRequest): unknown {
  const result = parseTransferBody(request, CONTEXT);
  if (!result.ok) return result.problem;
  return result.messages.map((message) =>
    message.kind === 'message' ? { ...message, content: message.content.toString('latin1') } : message,
  );
}

async function streamed(
  { body, ...request }: TransferRequest,
  cut: (body: Buffer) => readonly Buffer[],
): Promise<unknown> {
  const memory = new MemoryBudget(1_000_000);
  async function* pieces(): AsyncGenerator<Buffer> {
    yield* cut(body);
  }
  const result = await readBody({ ...request, body: pieces() }, { ...CONTEXT, memory });
  if (!result.ok) {
    assert.equal(memory.heldBytes, 0);
    return result.problem;
  }
  const messages = await Promise.all(
    result.messages.map(async (message) => {
      if (message.kind !== 'message') return message;
      const content: Buffer[] = [];
      for await (const piece of message.content.read()) content.push(piece);
      return { ...message, content: Buffer.concat(content).toString('latin1') };
    }),
  );
  result.release();
  assert.equal(memory.heldBytes, 0);
  return messages;
}

for (const [name, request] of REQUESTS) {
  test(`${name}: cut anywhere, plain or gzipped, it is what the receiver reads`, async () => {
    const expected = whole(request);
    const { body } = request;
    assert.deepEqual(await streamed(request, () => [...body].map((octet) => Buffer.from([octet]))), expected);
    for (let at = 0; at <= body.length; at += 1) {
      const cut = (octets: Buffer) =>
        [octets.subarray(0, at), octets.subarray(at)].filter(({ length }) => length > 0);
      assert.deepEqual(await streamed(request, cut), expected, `cut at ${at}`);
    }
    const gzipped = {
      ...request,
      headers: { ...request.headers, 'content-encoding': 'gzip' },
      body: gzipSync(body),
    };
    const halves = (octets: Buffer) => [octets.subarray(0, 11), octets.subarray(11)];
    assert.deepEqual(await streamed(gzipped, halves), whole(gzipped));
  });
}

test('a body in chunks of one octet takes memory by its octets', async () => {
  const lineBytes = 200_000;
  const json = JSON.stringify({
    id: 'j',
    sender: '',
    recipients: ['a@b.example'],
    content: 'x'.repeat(lineBytes),
  });
  const bodies = [
    [
      'frames',
      FRAMES,
      frame('one')
        .replace(LETTER, '')
        .replace(/"sizeBytes":\d+/, `"sizeBytes":${lineBytes}`) + 'x'.repeat(lineBytes),
    ],
    ['json', { 'content-type': 'application/json' }, json],
    ['rfc822', RFC822, 'x'.repeat(lineBytes)],
  ] as const;
  for (const [name, headers, text] of bodies) {
    const octets = Buffer.from(text);
    const memory = new MemoryBudget(2 * 1024 * 1024);
    let mostBytes = 0;
    const body = (async function* () {
      for (let at = 0; at < octets.length; at += 1) {
        // A copy, as from a socket: whoever keeps one keeps a Buffer.
        yield Buffer.from(octets.subarray(at, at + 1));
        if (memory.heldBytes > mostBytes) mostBytes = memory.heldBytes;
      }
    })();
    const read = await readBody({ endpoint: 'xfer', headers, body }, { ...CONTEXT, memory });
    assert.ok(read.ok, name);
    for (const message of read.messages) {
      assert.ok(message.kind === 'message', name);
      assert.ok((message.content.pieces ?? []).length <= 32, name);
    }
    assert.ok(mostBytes <= octets.length + 65_536, `${name}: ${mostBytes} octets`);
    read.release();
    assert.equal(memory.heldBytes, 0, name);
  }
});
