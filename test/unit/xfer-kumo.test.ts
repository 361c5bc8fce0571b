// KumoMTA's transfer: its line is read as KumoMTA writes it, and our answer is the one it acts upon.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseTransferBody } from '../../shared/xfer/body.ts';
import { formatKumoAnswer, uuidTimeMs } from '../../shared/xfer/kumo.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import type { XferMessage } from '../../shared/xfer/message.ts';

const NOW_MS = Date.UTC(2023, 9, 1, 12, 0, 0);
const UUID = 'd7ef132b5d7711eea8c8000c29c33806';

function transfer(body: string | Buffer, gzip = true) {
  const octets = Buffer.from(body);
  return parseTransferBody(
    {
      endpoint: 'kumomta',
      headers: { 'content-type': 'application/octet-stream', ...(gzip && { 'content-encoding': 'gzip' }) },
      body: gzip ? gzipSync(octets) : octets,
    },
    { limits: DEFAULT_LIMITS, nowMs: NOW_MS, makeId: () => 'unused' },
  );
}

function message(line: object, content = 'A: b\r\n\r\n'): XferMessage {
  const result = transfer(`${JSON.stringify(line)}\n${content}`);
  assert.ok(result.ok, result.ok ? '' : result.problem.detail);
  const [first] = result.messages;
  assert.ok(first !== undefined);
  return first;
}

const LINE = { id: UUID, sender: 'b@example.com', recipient: ['a@example.net'], meta: {} };

describe('a transfer of KumoMTA', () => {
  test('keeps attempts, due time, creation time and what its queue was called', () => {
    const line = {
      id: UUID,
      sender: 'b@example.com',
      recipient: ['a@Example.net', 'c@example.net'],
      meta: {
        reception_protocol: 'ESMTP',
        received_from: '192.0.2.1:4711',
        xfer_queue_info: {
          queue: 'promo:acme@example.net',
          tenant: 'acme',
          campaign: 'promo',
          schedule: { dow: 'Mon,Wed', tz: 'America/Phoenix', start: '09:00:00', end: '17:00:00' },
          num_attempts: 3,
          due: '2023-10-01T13:00:00.123456789Z',
        },
        xfer_prior_id: UUID,
        xfer_prior_node: '1e3b1c5e-8a5e-4bd8-9b25-7c7c5a8f0e11',
      },
    };
    assert.deepEqual(message(line), {
      kind: 'message',
      header: {
        id: UUID,
        envelope: {
          sender: 'b@example.com',
          recipients: [{ address: 'a@example.net' }, { address: 'c@example.net' }],
          body: '7BIT',
          smtputf8: false,
          requireTls: false,
        },
        sizeBytes: 8,
        receivedAtMs: Date.UTC(2023, 8, 27, 20, 53, 0, 32),
        dueAtMs: Date.UTC(2023, 9, 1, 13, 0, 0, 123),
        attempts: 3,
        upload: false,
        meta: {
          queue: 'promo:acme@example.net',
          tenant: 'acme',
          campaign: 'promo',
          schedule: { dow: 'Mon,Wed', tz: 'America/Phoenix', start: '09:00:00', end: '17:00:00' },
          reception_protocol: 'ESMTP',
          received_from: '192.0.2.1:4711',
          xfer_prior_id: UUID,
          xfer_prior_node: '1e3b1c5e-8a5e-4bd8-9b25-7c7c5a8f0e11',
        },
      },
      content: Buffer.from('A: b\r\n\r\n'),
    });
  });

  test('may name one recipient as text, come without gzip, hyphenate its id and have no sender', () => {
    const line = {
      id: 'D7EF132B-5D77-11EE-A8C8-000C29C33806',
      sender: '',
      recipient: 'a@example.net',
      meta: null,
    };
    const result = transfer(`${JSON.stringify(line)}\nx`, false);
    assert.ok(result.ok && result.messages[0]?.kind === 'message');
    assert.equal(result.format, 'kumomta');
    const { header } = result.messages[0];
    assert.equal(header.id, UUID);
    assert.equal(header.envelope.sender, '');
    assert.deepEqual(header.envelope.recipients, [{ address: 'a@example.net' }]);
    assert.equal(header.attempts, 0);
    assert.equal(header.dueAtMs, undefined);
  });

  test('is due at the first attempt of its schedule when it has no due time yet', () => {
    const queue = { num_attempts: 0, schedule: { first_attempt: '2023-10-02T09:00:00-08:00' } };
    const taken = message({ ...LINE, meta: { xfer_queue_info: queue } });
    assert.equal(taken.kind === 'message' && taken.header.dueAtMs, Date.UTC(2023, 9, 2, 17, 0, 0));
  });

  test('may bring fields that later versions add', () => {
    assert.equal(
      message({ ...LINE, flags: 7, meta: { xfer_queue_info: { num_attempts: 'x' } } }).kind,
      'message',
    );
  });

  test('with meta over 4 KiB keeps the queue and what else has room', () => {
    const meta = {
      bulk: 'x'.repeat(5000),
      small: 'y',
      xfer_queue_info: { tenant: 'acme', num_attempts: 1 },
    };
    const taken = message({ ...LINE, meta });
    assert.ok(taken.kind === 'message');
    assert.deepEqual(taken.header.meta, { tenant: 'acme', small: 'y' });
  });

  test('hands content on octet for octet, line feeds and all', () => {
    const taken = message(LINE, '\n\0é\r\n{"id":1}\n');
    assert.equal(taken.kind === 'message' && taken.content.toString(), '\n\0é\r\n{"id":1}\n');
  });

  test('with a bad address is refused as a message', () => {
    assert.deepEqual(message({ ...LINE, recipient: ['a@example.net', 'b'] }), {
      kind: 'refused',
      id: UUID,
      reply: { code: 501, enhanced: '5.1.3', text: 'recipients[1].address has no @' },
    });
    assert.equal(message({ ...LINE, recipient: [] }).kind, 'refused');
    assert.equal(message({ ...LINE, recipient: undefined }).kind, 'refused');
    assert.equal(message({ ...LINE, sender: undefined }).kind, 'refused');
  });

  test('that is broken is 400, a first line over 1 MiB 413', () => {
    const cases: readonly [body: string, code: string][] = [
      ['', 'empty-body'],
      [JSON.stringify(LINE), 'frame-truncated'],
      ['hello\n', 'bad-frame'],
      [`${JSON.stringify({ ...LINE, id: 'not-a-uuid' })}\n`, 'bad-id'],
      [`${JSON.stringify({ ...LINE, id: `${UUID}0` })}\n`, 'bad-id'],
      [`${JSON.stringify({ ...LINE, id: undefined })}\n`, 'bad-id'],
      [`${' '.repeat(1_048_577)}\n`, 'header-line-too-long'],
    ];
    for (const [body, code] of cases) {
      const result = transfer(body);
      assert.equal(result.ok ? 'taken' : result.problem.code, code);
    }
  });
});

describe('the creation time in a UUID', () => {
  test('is read from versions 1 and 7 alone', () => {
    assert.equal(uuidTimeMs(UUID), Date.UTC(2023, 8, 27, 20, 53, 0, 32));
    assert.equal(uuidTimeMs('c232ab00941411ecb3c89f6bdeced846'), Date.UTC(2022, 1, 22, 19, 22, 22));
    assert.equal(uuidTimeMs('017f22e279b07cc398c4dc0c0c07398f'), Date.UTC(2022, 1, 22, 19, 22, 22));
    assert.equal(uuidTimeMs('919108f752d133205bacf847db4148a8'), undefined);
  });

  test('is passed over when it lies in the future or before 2000', () => {
    for (const id of ['ffffffffffff1fffa8c8000c29c33806', '0000000000001000a8c8000c29c33806']) {
      const taken = message({ ...LINE, id });
      assert.equal(taken.kind === 'message' && taken.header.receivedAtMs, undefined);
    }
  });
});

describe('the answer to KumoMTA', () => {
  test('is 200 with the id, for a repeat too', () => {
    for (const status of ['accepted', 'duplicate'] as const) {
      assert.deepEqual(formatKumoAnswer({ id: UUID, status }), {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: '{"id":"d7ef132b5d7711eea8c8000c29c33806"}',
      });
    }
  });

  test('is 422 for a refusal, with the reply for its log', () => {
    const reply = { code: 501, enhanced: '5.1.3', text: 'recipients[1].address has no @' };
    const answer = formatKumoAnswer({ id: UUID, status: 'refused', reply });
    assert.equal(answer.status, 422);
    assert.equal(JSON.parse(answer.body).detail, '501 5.1.3 recipients[1].address has no @');
  });
});
