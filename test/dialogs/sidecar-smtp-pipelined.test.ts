import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownReply } from '../../shared/smtp/reply.ts';
import { connectRaw } from './sidecar-smtp-client.ts';
import { listenerFor } from './sidecar-smtp-listener.ts';

const SMTP = [
  'EHLO mta.example.com\r\n',
  'XFORWARD IDENT=4XyZ\r\n',
  'MAIL FROM:<"a > b"@example.com> BODY=8BITMIME RET=FULL ENVID=a+3Db\r\n',
  'RCPT TO:<jürgen@bücher.example> NOTIFY=NEVER ORCPT=utf-8;j\\x{FC}rgen@b\\x{FC}cher.example\r\n',
  'RCPT TO:<no@example.net>\r\n',
  'RCPT TO:<b@[IPv6:2001:db8::1]>\n',
  'DATA\r\n',
  '..a\r\n\r\n.b\r\n.\nc\r\r\n.\r\n',
  'NOOP\r\n',
  'MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n',
  '.\r\n',
  'RSET\r\nQUIT\r\n',
].join('');
const SMTP_REPLIES = [
  '250-sidecar.example.com',
  '250 2.0.0 ok',
  '250 2.1.0 ok',
  '250 2.1.5 ok',
  '550 5.1.1 nobody',
  '250 2.1.5 ok',
  '354 go on; end with a line that holds one dot',
  '250 2.0.0 jürgen@bücher.example',
  '250 2.0.0 ok',
  '250 2.1.0 ok',
  '250 2.1.5 ok',
  '354 go on; end with a line that holds one dot',
  '250 2.0.0 Postmaster@sidecar.example.com',
  '250 2.0.0 forgotten',
  '221 2.0.0 bye',
].map((line) => line.replaceAll(/[^\x20-\x7e]/g, '?'));

const LMTP = [
  'LHLO mta\r\nMAIL FROM:<>\r\n',
  'RCPT TO:<a@example.net>\r\nRCPT TO:<no@example.net>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<a@example.net>\r\n',
  'DATA\r\nHello.\r\n.\r\n',
  'MAIL FROM:<>\r\nRCPT TO:<no@example.net>\r\nDATA\r\nQUIT\r\n',
].join('');
const LMTP_REPLIES = [
  '250-sidecar.example.com',
  '250 2.1.0 ok',
  '250 2.1.5 ok',
  '550 5.1.1 nobody',
  '250 2.1.5 ok',
  '250 2.1.5 ok',
  '354 go on; end with a line that holds one dot',
  '250 2.0.0 a@example.net',
  '250 2.0.0 b@example.net',
  '250 2.0.0 a@example.net',
  '250 2.1.0 ok',
  '550 5.1.1 nobody',
  '503 5.5.1 no recipient was accepted',
  '221 2.0.0 bye',
];

for (const [protocol, dialogue, expected] of [
  ['SMTP', SMTP, SMTP_REPLIES],
  ['LMTP', LMTP, LMTP_REPLIES],
] as const) {
  test(`a pipelined ${protocol} dialogue is answered the same wherever its octets are cut`, async (t) => {
    const { port, taken } = await listenerFor(t, {
      lmtp: protocol === 'LMTP',
      recipient: ({ address }) => (address.startsWith('no@') ? ownReply(550, '5.1.1', 'nobody') : undefined),
      verdict: (address) => ownReply(250, '2.0.0', address),
    });
    const wire = Buffer.from(dialogue, 'utf8');
    const run = async (parts: readonly Buffer[]): Promise<void> => {
      const client = await connectRaw(port);
      const replies: string[] = [];
      const heard = (async () => {
        while (replies.length < expected.length) replies.push((await client.reply()).split('\n')[0] ?? '');
      })();
      for (const part of parts) {
        client.write(part);
        // The next part waits for a turn of the server, so that it arrives by itself.
        await new Promise((turn) => setImmediate(turn));
      }
      await heard;
      assert.deepEqual(replies, expected, `cut at ${parts[0]?.length}`);
      await client.closed;
    };
    for (let cut = 1; cut < wire.length; cut += 1) {
      await run([wire.subarray(0, cut), wire.subarray(cut)]);
    }
    await run(Array.from(wire, (octet) => Buffer.of(octet)));
    const seen = new Set(taken.map(({ client, ...rest }) => JSON.stringify({ ...rest, name: client.name })));
    assert.deepEqual([...seen], protocol === 'SMTP' ? SMTP_TAKEN : LMTP_TAKEN);
    assert.equal(taken.length, wire.length * (protocol === 'SMTP' ? 2 : 1));
  });
}

const SMTP_TAKEN = [
  JSON.stringify({
    envelope: {
      sender: '"a > b"@example.com',
      body: '8BITMIME',
      smtputf8: true,
      requireTls: false,
      envid: 'a=b',
      ret: 'FULL',
      recipients: [
        { address: 'jürgen@bücher.example', notify: ['NEVER'], orcpt: 'utf-8;jürgen@bücher.example' },
        { address: 'b@[IPv6:2001:db8::1]' },
      ],
    },
    content: '.a\r\n\r\nb\r\n\nc\r\r\n',
    bareNewlines: true,
    name: 'mta.example.com',
  }),
  JSON.stringify({
    envelope: {
      sender: '',
      body: '7BIT',
      smtputf8: false,
      requireTls: false,
      recipients: [{ address: 'Postmaster@sidecar.example.com' }],
    },
    content: '',
    bareNewlines: false,
    name: 'mta.example.com',
  }),
];

const LMTP_TAKEN = [
  JSON.stringify({
    envelope: {
      sender: '',
      body: '7BIT',
      smtputf8: false,
      requireTls: false,
      recipients: [{ address: 'a@example.net' }, { address: 'b@example.net' }],
    },
    content: 'Hello.\r\n',
    bareNewlines: false,
    name: 'mta',
  }),
];
