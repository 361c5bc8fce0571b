// Servers that end a session in the middle of the work, each by its own rule: Exim and OpenSMTPD after so many messages,
// Postfix after so many errors, or at the door when it has enough sessions. The stack goes on over other sessions, or
// later; each message arrives, or fails, once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsBefore } from './arrival.ts';
import { openSession, target } from './client.ts';
import { testWithEvidence } from './evidence.ts';
import { startExim } from './exim.ts';
import { startNsd } from './name-servers.ts';
import { startOpenSmtpd } from './opensmtpd.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { handOver, type Letter } from './transfer.ts';

const SENDER = 'alice@sender.test';
const MESSAGES_PER_SESSION = 4;
const ERRORS_PER_SESSION = 8;

const CROWD = Array.from({ length: 30 }, (_, index) => `crowd-${index}`);
const STRANGERS = Array.from({ length: 20 }, (_, index) => `stranger-${index}`);

test('servers that end sessions', { concurrency: true }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const dns = await startNsd(servers, '127.0.0.53', {
    'postfix.test': '@ MX 10 mx\nmx A 127.0.0.20',
    'narrow.test': '@ MX 10 mx\nmx A 127.0.0.21',
    'exim.test': '@ MX 10 mx\nmx A 127.0.0.30',
    'opensmtpd.test': '@ MX 10 mx\nmx A 127.0.0.40',
  });
  const [receiver, postfix, narrow, exim, opensmtpd] = await Promise.all([
    startReceiver(servers, { dns: dns.server }),
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: '127.0.0.20',
      mailboxes: ['friend@postfix.test'],
      main: { smtpd_hard_error_limit: String(ERRORS_PER_SESSION), smtpd_error_sleep_time: '0' },
    }),
    startPostfix(servers, {
      name: 'mx.narrow.test',
      address: '127.0.0.21',
      mailboxes: CROWD.map((local) => `${local}@narrow.test`),
      main: {
        smtpd_client_connection_count_limit: '2',
        // Who is near is spared by default.
        smtpd_client_event_limit_exceptions: '',
      },
    }),
    startExim(servers, {
      name: 'mx.exim.test',
      addresses: ['127.0.0.30'],
      mailboxes: CROWD.map((local) => `${local}@exim.test`),
      main: `
smtp_accept_max_per_connection = ${MESSAGES_PER_SESSION}
smtp_accept_queue_per_connection = 0
`,
    }),
    startOpenSmtpd(servers, {
      name: 'mx.opensmtpd.test',
      listeners: { '127.0.0.40': undefined },
      mailboxes: CROWD.map((local) => `${local}@opensmtpd.test`),
      main: `smtp limit max-mails ${MESSAGES_PER_SESSION}`,
    }),
  ]);
  const destinations = [
    { name: 'Exim', domain: 'exim.test', server: exim },
    { name: 'OpenSMTPD', domain: 'opensmtpd.test', server: opensmtpd },
  ];
  await Promise.all([
    ...destinations.map(({ name, domain, server }) =>
      testWithEvidence(
        context,
        `${name} takes ${MESSAGES_PER_SESSION} messages a session: 30 arrive, each once, at the first attempt`,
        server.log,
        async () => {
          const letters = CROWD.map((local) => letterTo(`${local}@${domain}`));
          await handOver(receiver.url, ...letters);
          for (const { recipients, content } of letters) {
            const recipient = recipients[0] ?? '';
            await receiver.delivered(recipient);
            const [mail = Buffer.alloc(0), ...doubles] = await server.mailbox(recipient);
            assert.equal(doubles.length, 0);
            fieldsBefore(mail, content);
            // What met the end of a session may wait a moment for another one; no attempt is counted for it.
            const told = receiver.records(recipient).filter(({ type }) => type !== 'Delayed');
            assert.deepEqual(
              told.map(({ type, num_attempts: attempts }) => [type, attempts]),
              [
                ['XferIn', 0],
                ['Delivery', 1],
              ],
            );
          }
        },
      ),
    ),
    testWithEvidence(
      context,
      'Postfix takes two sessions at once and has them: 30 messages wait, and arrive once each when it has room',
      narrow.log,
      async () => {
        const to = target('mx.narrow.test', '127.0.0.21', { mode: 'no', verify: false });
        const others = await Promise.all([openSession(to), openSession(to)]);
        const letters = CROWD.map((local) => letterTo(`${local}@narrow.test`));
        await handOver(receiver.url, ...letters);
        for (const { recipients } of letters) {
          const { response } = await receiver.told(recipients[0] ?? '', 'TransientFailure');
          assert.deepEqual([response?.code, response?.enhanced_code], [421, '4.7.0']);
        }
        await Promise.all(others.map((session) => session.quit()));
        for (const { recipients, content } of letters) {
          const recipient = recipients[0] ?? '';
          await receiver.delivered(recipient);
          const [mail = Buffer.alloc(0), ...doubles] = await narrow.mailbox(recipient);
          assert.equal(doubles.length, 0);
          fieldsBefore(mail, content);
        }
      },
    ),
    testWithEvidence(
      context,
      `Postfix hangs up after ${ERRORS_PER_SESSION} unknown recipients: all 20 fail, and the one it knows has the mail`,
      postfix.log,
      async () => {
        const strangers = STRANGERS.map((local) => `${local}@postfix.test`);
        const letter = letterTo(...strangers, 'friend@postfix.test');
        await handOver(receiver.url, letter);
        await receiver.delivered('friend@postfix.test');
        const [mail = Buffer.alloc(0), ...doubles] = await postfix.mailbox('friend@postfix.test');
        assert.equal(doubles.length, 0);
        fieldsBefore(mail, letter.content);
        for (const stranger of strangers) {
          const { response } = await receiver.told(stranger, 'Bounce', 'Delivery', 'Expiration');
          assert.deepEqual([response?.code, response?.enhanced_code], [550, '5.1.1']);
        }
      },
    ),
  ]);
});

function letterTo(...recipients: readonly string[]): Letter {
  const content = Buffer.from(`From: ${SENDER}\r\nSubject: to ${recipients[0]}\r\n\r\nHello.\r\n`);
  const id = (recipients[0] ?? '').replaceAll(/[@.]/g, '-');
  return { id, sender: SENDER, recipients, content };
}
