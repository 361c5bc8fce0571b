// Postfix and Exim as destinations: what they say to recipients and contents, and what stands in their mailboxes.
// Both offer STARTTLS with a certificate that nobody vouches for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SELF_SIGNED } from '../dialogs/self-signed.ts';
import { fieldsBefore, TRACE } from './arrival.ts';
import { startExim } from './exim.ts';
import { startNsd } from './name-servers.ts';
import { createGreylist, startPolicyService } from './policy-service.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { handOver } from './transfer.ts';

const SENDER = 'alice@sender.test';
/** Whose contents both defer once, at the final dot. */
const SLOW_SENDER = 'slow@sender.test';

/** More than there are sessions to a destination. */
const CROWD = Array.from({ length: 12 }, (_, index) => `crowd-${index}`);
const MAILBOXES = ['plain', 'octets', 'later', 'one', 'two', 'slow', 'mega', 'ten-mega', 'jürgen', ...CROWD];

test('mail to real servers', { concurrency: 4 }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const greylist = await startPolicyService(servers, createGreylist().policy);
  const dns = await startNsd(servers, '127.0.0.53', {
    'postfix.test': '@ MX 10 mx\nmx A 127.0.0.20',
    'exim.test': '@ MX 10 mx\nmx A 127.0.0.30',
  });
  const certificate = { 'certificate.pem': SELF_SIGNED.cert, 'key.pem': SELF_SIGNED.key };
  const [receiver, postfix, exim] = await Promise.all([
    startReceiver(servers, { dns: dns.server }),
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: '127.0.0.20',
      mailboxes: MAILBOXES.map((name) => `${name}@postfix.test`),
      main: {
        smtpd_restriction_classes: 'greylist',
        greylist,
        smtpd_recipient_restrictions: 'check_recipient_access inline:{later@postfix.test=greylist}',
        smtpd_end_of_data_restrictions: `check_sender_access inline:{${SLOW_SENDER}=greylist}`,
        smtpd_tls_security_level: 'may',
        smtpd_tls_received_header: 'yes',
        smtpd_tls_cert_file: '$config_directory/certificate.pem',
        smtpd_tls_key_file: '$config_directory/key.pem',
      },
      files: certificate,
    }),
    startExim(servers, {
      name: 'mx.exim.test',
      addresses: ['127.0.0.30'],
      mailboxes: MAILBOXES.map((name) => `${name}@exim.test`),
      main: `
tls_advertise_hosts = *
tls_certificate = $config_dir/certificate.pem
tls_privatekey = $config_dir/key.pem
`,
      files: certificate,
      atRecipient: `
  defer
    message = 4.7.1 Greylisted, come back later
    local_parts = later
    !ratelimit = 1.5 / 1h / strict / $sender_address/$local_part@$domain
`,
      atContent: `
  defer
    message = 4.7.1 Not now, come back later
    senders = ${SLOW_SENDER}
    !ratelimit = 1.5 / 1h / strict / content of $h_subject:
`,
    }),
  ]);

  const destinations = [
    {
      mta: 'Postfix',
      domain: 'postfix.test',
      withTls: / with ESMTPS id /,
      taken: 'Delivery 250 2.0.0 final',
    },
    { mta: 'Exim', domain: 'exim.test', withTls: / with esmtps /, taken: 'Delivery 250 final' },
  ];
  /** The only mail of the recipient; checks that it is our trace and then these octets. */
  const arrived = async (recipient: string, content: Buffer): Promise<readonly string[]> => {
    await receiver.delivered(recipient);
    const server = recipient.endsWith('@exim.test') ? exim : postfix;
    const [mail = Buffer.alloc(0), ...doubles] = await server.mailbox(recipient);
    assert.equal(doubles.length, 0);
    const fields = fieldsBefore(mail, content);
    assert.match(fields.at(-1) ?? '', TRACE);
    return fields;
  };
  const verdicts = (recipient: string): readonly string[] =>
    receiver
      .records(recipient)
      .map(({ type, response }) => [type, response?.code, response?.enhanced_code, response?.command])
      .map((parts) => parts.filter((part) => part !== undefined && part !== null).join(' '));

  await Promise.all(
    destinations.flatMap(({ mta, domain, withTls, taken }) => [
      context.test(`${mta} takes a message over TLS, whoever vouches for its certificate`, async () => {
        const content = letter('plain');
        const recipient = `plain@${domain}`;
        await handOver(receiver.url, {
          id: `plain-${mta}`,
          sender: SENDER,
          recipients: [recipient],
          content,
        });
        const fields = await arrived(recipient, content);
        assert.match(fields.join('\n'), withTls);
        assert.equal(receiver.records(recipient).at(-1)?.tls_protocol_version, 'TLSv1.3');
      }),

      context.test(`what ${mta} rejects at RCPT has failed, and is not tried again`, async () => {
        const recipient = `nobody@${domain}`;
        await handOver(receiver.url, {
          id: `nobody-${mta}`,
          sender: SENDER,
          recipients: [recipient],
          content: letter('?'),
        });
        await receiver.told(recipient, 'Bounce');
        assert.deepEqual(verdicts(recipient), ['XferIn', 'Bounce 550 5.1.1 rcpt']);
      }),

      context.test(`what ${mta} defers at the final dot arrives on a later attempt, once`, async () => {
        const content = letter('slow');
        const recipient = `slow@${domain}`;
        await handOver(receiver.url, {
          id: `slow-${mta}`,
          sender: SLOW_SENDER,
          recipients: [recipient],
          content,
        });
        await arrived(recipient, content);
        assert.deepEqual(verdicts(recipient), ['XferIn', 'TransientFailure 451 4.7.1 final', taken]);
      }),

      context.test(
        `a content that ${mta} defers does no harm to the next message of its session`,
        async () => {
          const letters = CROWD.map((name, index) => ({
            id: `${name}-${mta}`,
            sender: index % 2 === 0 ? SLOW_SENDER : SENDER,
            recipients: [`${name}@${domain}`],
            content: letter(name),
          }));
          await handOver(receiver.url, ...letters);
          for (const name of CROWD) await arrived(`${name}@${domain}`, letter(name));
        },
      ),

      context.test(`each recipient at ${mta} has its own end`, async () => {
        const content = letter('mixed');
        const names = ['one', 'later', 'absent', 'two'];
        const recipients = names.map((name) => `${name}@${domain}`);
        await handOver(receiver.url, { id: `mixed-${mta}`, sender: SENDER, recipients, content });
        for (const name of ['one', 'later', 'two']) await arrived(`${name}@${domain}`, content);
        assert.deepEqual(
          names.map((name) => verdicts(`${name}@${domain}`)),
          [
            ['XferIn', taken],
            ['XferIn', 'TransientFailure 451 4.7.1 rcpt', taken],
            ['XferIn', 'Bounce 550 5.1.1 rcpt'],
            ['XferIn', taken],
          ],
        );
      }),

      context.test(`octets of no charset and very long lines reach ${mta} as they are`, async () => {
        const every = Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index));
        const content = Buffer.concat([
          letter('octets'),
          every,
          Buffer.from(`\r\n${'x'.repeat(5_000)}\r\n.\r\n..\r\n \t \r\n`),
        ]);
        const recipient = `octets@${domain}`;
        const fields = { body: '8BITMIME' };
        await handOver(receiver.url, {
          id: `octets-${mta}`,
          sender: SENDER,
          recipients: [recipient],
          content,
          fields,
        });
        await arrived(recipient, content);
      }),

      context.test(`an address beyond US-ASCII is delivered to ${mta} with SMTPUTF8`, async () => {
        const content = Buffer.from('From: <älice@sender.test>\r\nSubject: jürgenr\r\n\r\nGrüße\r\n');
        const recipient = `jürgen@${domain}`;
        await handOver(receiver.url, {
          id: `utf8-${mta}`,
          sender: 'älice@sender.test',
          recipients: [recipient],
          content,
        });
        const fields = await arrived(recipient, content);
        assert.match(fields[0] ?? '', /^Return-path: <älice@sender\.test>$/i);
      }),

      context.test(`a message of a megabyte reaches ${mta}, and one of ten by upload`, async () => {
        for (const [name, sizeBytes] of [
          ['mega', 1_000_000],
          ['ten-mega', 10_000_000],
        ] as const) {
          const content = large(sizeBytes);
          const recipient = `${name}@${domain}`;
          await handOver(receiver.url, {
            id: `${name}-${mta}`,
            sender: SENDER,
            recipients: [recipient],
            content,
          });
          await arrived(recipient, content);
        }
      }),
    ]),
  );
});

function letter(subject: string): Buffer {
  return Buffer.from(`From: ${SENDER}\r\nTo: you\r\nSubject: ${subject}\r\n\r\nHello.\r\n`);
}

/** Lines that differ, so that none can be missing or double. */
function large(sizeBytes: number): Buffer {
  const lines = Array.from({ length: sizeBytes / 50 }, (_, index) => `${String(index).padEnd(47, '.')}.\r\n`);
  return Buffer.concat([letter('large'), Buffer.from(lines.join(''))]);
}
