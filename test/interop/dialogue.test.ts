// Whole dialogues of our client with Postfix, Exim and OpenSMTPD: what each server is told, what it answers, and what
// stands in its mailboxes. OpenSMTPD offers neither PIPELINING nor SMTPUTF8, so that it shows the plain way as well.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Envelope } from '../../shared/message/envelope.ts';
import { fieldsBefore } from './arrival.ts';
import { contentOf, envelope, letter, OPPORTUNISTIC, openSession, target, told } from './client.ts';
import { testWithEvidence } from './evidence.ts';
import { startExim } from './exim.ts';
import { startOpenSmtpd } from './opensmtpd.ts';
import { startPostfix } from './postfix.ts';
import { startTap } from './tap.ts';

const SENDER = 'alice@sender.test';
const MAX_RECIPIENTS = 5;
const MAX_SIZE_BYTES = 2_000_000;

const CROWD = Array.from({ length: 12 }, (_, index) => `crowd-${index}`);
const MAILBOXES = [
  'one',
  'two',
  'twenty',
  'hundred',
  'octets',
  'asked',
  'returns',
  'jürgen',
  'large',
  ...CROWD,
];

const SERVERS = [
  {
    name: 'Postfix',
    domain: 'postfix.test',
    address: '127.0.0.20',
    stranger: 'permanent 550 5.1.1 rcpt',
    taken: 'delivered 250 2.0.0 final',
    beyondAscii: 'delivered 250 2.0.0 final',
    isPipelined: true,
    report: ['Original-Envelope-Id: an id=1', 'Original-Recipient: rfc822;first+name@else.test'],
  },
  {
    name: 'Exim',
    domain: 'exim.test',
    address: '127.0.0.30',
    stranger: 'permanent 550 5.1.1 rcpt',
    taken: 'delivered 250 final',
    beyondAscii: 'delivered 250 final',
    isPipelined: true,
    // As they were spoken: it does not decode xtext.
    report: ['Original-Envelope-ID: an+20id+3D1', 'Original-Recipient: rfc822;first+2Bname@else.test'],
  },
  {
    name: 'OpenSMTPD',
    domain: 'opensmtpd.test',
    address: '127.0.0.40',
    stranger: 'permanent 550 rcpt',
    taken: 'delivered 250 2.0.0 final',
    beyondAscii: 'permanent 553 5.6.7 rcpt',
    isPipelined: false,
    // It takes ENVID and ORCPT and does not repeat them.
    report: ['Final-Recipient: rfc822; asked@opensmtpd.test'],
  },
] as const;

test('whole dialogues with real servers', { concurrency: 4 }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const mailboxesOf = (domain: string) => MAILBOXES.map((name) => `${name}@${domain}`);
  const [Postfix, Exim, OpenSMTPD] = await Promise.all([
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: SERVERS[0].address,
      mailboxes: mailboxesOf(SERVERS[0].domain),
      main: {
        smtpd_recipient_limit: String(MAX_RECIPIENTS),
        message_size_limit: String(MAX_SIZE_BYTES),
      },
    }),
    startExim(servers, {
      name: 'mx.exim.test',
      addresses: [SERVERS[1].address],
      mailboxes: mailboxesOf(SERVERS[1].domain),
      maxSizeBytes: MAX_SIZE_BYTES,
      main: `
recipients_max = ${MAX_RECIPIENTS}
dsn_advertise_hosts = *
# Delivered at once, however many come over one connection.
smtp_accept_queue_per_connection = 0
`,
    }),
    startOpenSmtpd(servers, {
      name: 'mx.opensmtpd.test',
      listeners: { [SERVERS[2].address]: undefined },
      mailboxes: mailboxesOf(SERVERS[2].domain),
      main: `smtp limit max-rcpt ${MAX_RECIPIENTS}\nsmtp max-message-size "${MAX_SIZE_BYTES}"`,
    }),
  ]);
  const running = { Postfix, Exim, OpenSMTPD };

  await Promise.all(
    SERVERS.flatMap(({ name, domain, address, stranger, taken, beyondAscii, isPipelined, report }) => {
      const { mailbox } = running[name];
      const to = target(`mx.${domain}`, address, OPPORTUNISTIC);
      /** One message on a session of its own. */
      const send = async (mail: Envelope, content: Buffer) => {
        const session = await openSession(to);
        const result = await session.transact(mail, contentOf(content));
        await session.quit();
        return told(result);
      };
      /** The only mail of the recipient; rejects when it does not end with these octets. */
      const arrived = async (local: string, content: Buffer) => {
        const mails = await mailbox(`${local}@${domain}`);
        assert.equal(mails.length, 1);
        return fieldsBefore(mails[0] ?? Buffer.alloc(0), content);
      };
      const check = (title: string, run: () => Promise<void>) =>
        testWithEvidence(context, title, running[name].log, run);

      return [
        check(`20 messages go over one session to ${name}, each is there once`, async () => {
          const tap = await startTap(servers, '127.0.0.1:0', `${address}:25`);
          const tls = { mode: 'no', verify: false } as const;
          const session = await openSession({ ...to, address: '127.0.0.1', port: tap.port, tls });
          const letters = numbered(20);
          const results = [];
          for (const content of letters) {
            await session.ready();
            results.push(session.transact(envelope(SENDER, [`twenty@${domain}`]), contentOf(content)));
          }
          const ends = (await Promise.all(results)).map(told);
          await session.quit();
          assert.deepEqual(
            ends,
            Array.from({ length: 20 }, () => [taken]),
          );
          assertSame(await mailbox(`twenty@${domain}`, 20), letters);
          assert.deepEqual(tap.contents().map(String), letters.map(String));
          // A round trip is greeting, EHLO, the first envelope, its content, QUIT; and one for each message behind.
          if (isPipelined) assert.ok(tap.turns() <= 26, `${tap.turns()} round trips`);
        }),

        check(`of three recipients at ${name} one is refused, two have the mail`, async () => {
          const content = letter(SENDER, 'three');
          const recipients = ['one', 'absent', 'two'].map((local) => `${local}@${domain}`);
          assert.deepEqual(await send(envelope(SENDER, recipients), content), [taken, stranger, taken]);
          await arrived('one', content);
          await arrived('two', content);
        }),

        check(`octets of no charset, long lines and dots reach ${name} as they are`, async () => {
          const every = Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index));
          const lines = Buffer.from(`\r\n${'x'.repeat(998)}\r\n.\r\n..\r\n. \r\n`);
          const content = Buffer.concat([letter(SENDER, '8 bit'), every, lines]);
          const mail = envelope(SENDER, [`octets@${domain}`], { body: '8BITMIME' });
          assert.deepEqual(await send(mail, content), [taken]);
          await arrived('octets', content);
        }),

        check(`an address beyond US-ASCII: ${name} is asked only if it offers SMTPUTF8`, async () => {
          const content = letter(SENDER, 'utf-8');
          const mail = envelope(SENDER, [`jürgen@${domain}`], { smtputf8: true });
          assert.deepEqual(await send(mail, content), [beyondAscii]);
          if (beyondAscii.startsWith('delivered')) await arrived('jürgen', content);
        }),

        check(`what a sender asks of reports is heard by ${name}, which writes one`, async () => {
          const content = letter(`returns@${domain}`, 'asked');
          const mail = envelope(`returns@${domain}`, [], {
            recipients: [
              {
                address: `asked@${domain}`,
                orcpt: 'rfc822;first+name@else.test',
                notify: ['SUCCESS', 'FAILURE'],
              },
            ],
            envid: 'an id=1',
            ret: 'HDRS',
          });
          assert.deepEqual(await send(mail, content), [taken]);
          await arrived('asked', content);
          const [mailed = Buffer.alloc(0)] = await mailbox(`returns@${domain}`);
          const lines = mailed.toString('latin1').split('\r\n');
          for (const line of [...report, 'Action: delivered'])
            assert.ok(lines.includes(line), `${line} in\n${lines.join('\n')}`);
        }),

        check(`a message larger than ${name} takes is refused before it is named`, async () => {
          const content = Buffer.concat([letter(SENDER, 'large'), Buffer.alloc(MAX_SIZE_BYTES, 'x\r\n')]);
          assert.deepEqual(await send(envelope(SENDER, [`large@${domain}`]), content), [
            'permanent 552 5.3.4 mail',
          ]);
        }),

        context.test(
          `${name} takes ${MAX_RECIPIENTS} recipients at once; the others come after`,
          async () => {
            const content = letter(SENDER, 'crowd');
            const recipients = CROWD.map((local) => `${local}@${domain}`);
            assert.deepEqual(
              await send(envelope(SENDER, recipients), content),
              CROWD.map(() => taken),
            );
            for (const local of CROWD) await arrived(local, content);
          },
        ),

        check(`100 messages over five sessions to ${name}: each is there once`, async () => {
          const letters = numbered(100);
          const waiting = [...letters];
          const recipient = `hundred@${domain}`;
          await Promise.all(
            Array.from({ length: 5 }, async () => {
              const session = await openSession(to);
              const results = [];
              for (let content = waiting.shift(); content !== undefined; content = waiting.shift()) {
                results.push(session.transact(envelope(SENDER, [recipient]), contentOf(content)));
                await session.ready();
              }
              for (const result of results) assert.deepEqual(told(await result), [taken]);
              await session.quit();
            }),
          );
          assertSame(await mailbox(recipient, 100), letters);
        }),
      ];
    }),
  );
});

function numbered(count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => letter(SENDER, `number ${index}`));
}

/** Each content once, in any order. */
function assertSame(mails: readonly Buffer[], contents: readonly Buffer[]): void {
  assert.equal(mails.length, contents.length);
  for (const content of contents) {
    const same = mails.filter((mail) => mail.subarray(-content.length).equals(content));
    assert.equal(same.length, 1, String(content));
  }
}
