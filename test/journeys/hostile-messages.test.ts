// Messages that are framed well and hold what must not reach a command line, a log or a file name. Each is refused
// alone, with a reply that names the field; nothing is stored.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inventory, NOTHING } from './inventory.ts';
import { frame, letter, message, postFrames, request } from './transfers.ts';
import { startWorld, type World } from './world.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.close());

/** Code, enhanced code and text of the only message's refusal. */
async function refusal(fields: object): Promise<string> {
  const answer = await postFrames(world, [frame('x', ['a@ok.test'], letter('x'), fields)]);
  assert.equal(answer.status, 422, JSON.stringify(answer.body));
  assert.equal(Object(answer.body).code, 'all-refused');
  assert.deepEqual(await inventory(world), NOTHING);
  assert.deepEqual(world.notices, [], 'nothing broke');
  const [{ reply }] = Object(answer.body).messages;
  return `${reply.code} ${reply.enhanced} ${reply.text}`;
}

const SMUGGLED = 'a@ok.test>\r\nRCPT TO:<victim@ok.test';

describe('an address', () => {
  for (const [what, address] of [
    ['with a command behind a line end', SMUGGLED],
    ['with a line end inside quotes', '"a\r\nb"@ok.test'],
    ['with a bare LF', 'a\nb@ok.test'],
    ['with a bare CR', 'a\rb@ok.test'],
    ['with NUL', 'a\u0000b@ok.test'],
    ['with DEL', 'a\u007fb@ok.test'],
    ['with a C1 control', 'a\u0085b@ok.test'],
    ['with a line end in its domain', 'a@ok.test\r\nDATA'],
  ] as const) {
    test(`${what} is refused as recipient and as sender`, async () => {
      assert.equal(
        await refusal({ recipients: [address] }),
        '501 5.1.3 recipients[0].address holds a control character',
      );
      assert.equal(await refusal({ sender: address }), '501 5.1.7 sender holds a control character');
    });
  }

  for (const [what, address, said] of [
    ['in angle brackets', '<a@ok.test>', 'must stand without angle brackets'],
    ['with a source route', '@relay.test:a@ok.test', 'begins with a source route or lacks its local part'],
    ['that is empty', '', 'is empty'],
    [
      'with two domains',
      'a@ok.test@evil.test',
      'has more than one @; a local part that holds one must be quoted',
    ],
    ['with a lone surrogate', 'a\ud800@ok.test', 'holds a lone surrogate, which is no character'],
    [
      'of a megabyte',
      `${'a'.repeat(900_000)}@ok.test`,
      'is over 254 octets (a path takes 256 with its angle brackets)',
    ],
    [
      'at a bare IP address',
      'a@127.0.0.1',
      'has a domain that ends in a number; an IP address stands in brackets',
    ],
  ] as const) {
    test(`${what} is refused`, async () => {
      assert.equal(await refusal({ recipients: [address] }), `501 5.1.3 recipients[0].address ${said}`);
    });
  }

  test('literal of the loopback interface, of the metadata service and of private networks gets no mail', async () => {
    // The world allows 127.0.0.0/8, where its sink is; nothing else of that kind.
    await using inside = await startWorld();
    const literals = ['[169.254.169.254]', '[10.0.0.1]', '[192.168.1.1]', '[IPv6:::1]', '[IPv6:fe80::1]'];
    await inside.post(
      message(
        'inside',
        literals.map((literal) => `a@${literal}`),
      ),
    );
    assert.equal(await inside.deliver(), 5);
    const failures = inside.records.filter(({ type }) => type === 'TransientFailure');
    assert.equal(failures.length, 5);
    for (const { response } of failures) assert.equal(response?.enhanced_code, '4.7.1');
  });
});

describe('a list of recipients', () => {
  test('of 10,000 is refused', async () => {
    const recipients = Array.from({ length: 10_000 }, (_, index) => `u${index}@ok.test`);
    assert.equal(
      await refusal({ recipients }),
      '554 5.5.3 10000 recipients, at most 1000 are taken in one message',
    );
  });

  for (const [what, recipients] of [
    ['that is empty', []],
    ['that is text', 'a@ok.test'],
    ['that is an object', { length: 1, 0: 'a@ok.test' }],
  ] as const) {
    test(`${what} is refused`, async () => {
      assert.equal(await refusal({ recipients }), '501 5.5.4 recipients must be a list of 1 to 1000');
    });
  }

  test('of things that are no mailboxes is refused', async () => {
    for (const recipient of [null, 7, [], ['a@ok.test'], true]) {
      assert.equal(
        await refusal({ recipients: ['a@ok.test', recipient] }),
        '501 5.5.4 recipients[1] must be a mailbox or an object with an address',
      );
    }
    assert.equal(
      await refusal({ recipients: [{ address: { toString: 'a@ok.test' } }] }),
      '501 5.5.4 recipients[0].address must be a mailbox',
    );
  });
});

describe('a field', () => {
  for (const [field, value, said] of [
    [
      'receivedFrom',
      'mx\r\nBcc: victim@ok.test',
      'receivedFrom must be a host name in US-ASCII or an address literal in brackets',
    ],
    [
      'receivedFrom',
      'mx (comment',
      'receivedFrom must be a host name in US-ASCII or an address literal in brackets',
    ],
    ['envid', 'a\r\nRCPT TO:<b@ok.test>', 'envid must be 1 to 100 printable characters'],
    ['body', 'BINARYMIME', 'body must be one of 7BIT, 8BITMIME'],
    ['ret', 'FULL\r\n', 'ret must be one of FULL, HDRS'],
    ['smtputf8', 'yes', 'smtputf8 must be true or false'],
    ['attempts', -1, 'attempts must be a whole number from 0 to 65535'],
    ['attempts', 1e9, 'attempts must be a whole number from 0 to 65535'],
    ['dueAt', 'tomorrow', 'dueAt must be an instant such as 2026-11-22T10:00:00Z (RFC 3339)'],
    ['dueAt', '9999-12-31T23:59:59Z', 'dueAt lies over 10 days ahead'],
    ['expiresAt', '9999-12-31T23:59:59Z', 'expiresAt lies over 10 days after the message was received'],
    ['receivedAt', '9999-12-31T23:59:59Z', 'receivedAt lies more than an hour ahead of the clock here'],
    ['receivedAt', '1970-01-01T00:00:00Z', 'receivedAt lies before the year 2000'],
    ['sha256', 'A'.repeat(64), 'sha256 must be 64 lower-case hex digits'],
    ['meta', [], 'meta must be an object'],
    ['meta', { note: 'x'.repeat(4_096) }, 'meta takes 4107 octets, at most 4096 are kept'],
    ['lastReply', 'late', 'lastReply must be an object with code and text'],
    ['constructor', 'x', '"constructor" is no field of XFER/1'],
    ['credential', 'somebody', '"credential" is no field of XFER/1'],
  ] as const) {
    test(`${field} of ${JSON.stringify(value).slice(0, 40)} is refused by name`, async () => {
      assert.equal(await refusal({ [field]: value }), `501 5.5.4 ${said}`);
    });
  }

  test('named __proto__ is refused like any other that is not known', async () => {
    const line =
      '{"id":"x","sender":"","recipients":["a@ok.test"],"sizeBytes":0,"__proto__":{"upload":true}}\n';
    const answer = await postFrames(world, [Buffer.from(line)]);
    assert.equal(Object(answer.body).messages[0].reply.text, '"__proto__" is no field of XFER/1');
    assert.deepEqual(await inventory(world), NOTHING);
  });

  test('of a recipient is refused as well: an ORCPT with a line end, a NOTIFY that is none', async () => {
    const orcpt =
      'recipients[0].orcpt must be addr-type;address, decoded, of at most 500 characters (RFC 3461)';
    for (const bad of ['rfc822;a\r\nDATA', 'rfc822', ';a@ok.test', `rfc822;${'a'.repeat(500)}`]) {
      assert.equal(
        await refusal({ recipients: [{ address: 'a@ok.test', orcpt: bad }] }),
        `501 5.5.4 ${orcpt}`,
      );
    }
    assert.equal(
      await refusal({ recipients: [{ address: 'a@ok.test', notify: ['NEVER', 'FAILURE'] }] }),
      '501 5.5.4 recipients[0].notify must have NEVER stand alone',
    );
  });
});

describe('content', () => {
  for (const [what, content] of [
    ['a bare LF before a dot', 'Subject: x\r\n\r\na\n.\r\nMAIL FROM:<b@evil.test>\r\n'],
    ['a dot between bare LFs', 'Subject: x\r\n\r\na\n.\nQUIT\r\n'],
    ['a bare CR before a dot', 'Subject: x\r\n\r\na\r.\r\nQUIT\r\n'],
    ['CR CR LF', 'Subject: x\r\n\r\na\r\r\n.\r\r\nQUIT\r\n'],
  ] as const) {
    test(`with ${what} is refused: it would end the message early somewhere`, async () => {
      const answer = await postFrames(world, [frame('x', ['a@ok.test'], content)]);
      assert.equal(answer.status, 422);
      const [{ reply }] = Object(answer.body).messages;
      assert.deepEqual([reply.code, reply.enhanced], [554, '5.6.0']);
      assert.deepEqual(await inventory(world), NOTHING);
    });
  }

  test('that was changed on its way is asked for again', async () => {
    assert.equal(
      await refusal({ sha256: 'f'.repeat(64) }),
      '451 4.6.0 content does not have the announced sha256; send it again',
    );
  });
});

describe('a body of JSON', () => {
  for (const [what, body, status, code] of [
    ['that is empty', '', 400, 'empty-body'],
    ['that is cut', '{"id":"x","sender', 400, 'bad-json'],
    ['that is null', 'null', 400, 'bad-json'],
    ['that is a list', '[{"id":"x"}]', 400, 'bad-json'],
    ['of a hundred thousand levels', `{"meta":${'['.repeat(100_000)}`, 400, 'bad-json'],
    ['without an id', '{"sender":"","recipients":["a@ok.test"],"content":""}', 400, 'bad-id'],
    [
      'with an id that climbs',
      '{"id":"../x","sender":"","recipients":["a@ok.test"],"content":""}',
      400,
      'bad-id',
    ],
    ['without content', '{"id":"x","sender":"","recipients":["a@ok.test"]}', 422, 'all-refused'],
    [
      'with two contents',
      '{"id":"x","sender":"","recipients":["a@ok.test"],"content":"","contentBase64":""}',
      422,
      'all-refused',
    ],
    [
      'with broken base64',
      '{"id":"x","sender":"","recipients":["a@ok.test"],"contentBase64":"a"}',
      422,
      'all-refused',
    ],
    [
      'with half a surrogate',
      '{"id":"x","sender":"","recipients":["a@ok.test"],"content":"\\ud800"}',
      422,
      'all-refused',
    ],
    [
      'with another size than its content',
      '{"id":"x","sender":"","recipients":["a@ok.test"],"content":"abc","sizeBytes":4}',
      422,
      'all-refused',
    ],
  ] as const) {
    test(`${what} is refused with ${code}`, async () => {
      const answer = await request(world, '/delay_message', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      assert.deepEqual([answer.status, Object(answer.body).code], [status, code]);
      assert.deepEqual(await inventory(world), NOTHING);
      assert.deepEqual(world.notices, []);
    });
  }
});
