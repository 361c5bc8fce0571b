// A Postfix behind postscreen, which puts strangers off: it watches whether they wait for the whole greeting and keep to
// the order of the dialogue, answers the recipient with 450, and lets them in when they come back (POSTSCREEN_README).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SELF_SIGNED } from '../dialogs/self-signed.ts';
import { fieldsBefore, TRACE } from './arrival.ts';
import { startNsd } from './name-servers.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { handOver } from './transfer.ts';

const SENDER = 'alice@sender.test';
const ADDRESS = '127.0.0.20';

test('mail to a Postfix that puts strangers off', async (context) => {
  await using servers = new AsyncDisposableStack();
  const dns = await startNsd(servers, '127.0.0.53', { 'postfix.test': `@ MX 10 mx\nmx A ${ADDRESS}` });
  const [receiver, postfix] = await Promise.all([
    startReceiver(servers, { dns: dns.server }),
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: ADDRESS,
      // Behind postscreen nobody comes in here.
      port: 10_025,
      mailboxes: ['first@postfix.test', 'second@postfix.test'],
      main: {
        postscreen_access_list: '',
        postscreen_greet_wait: '2s',
        postscreen_greet_banner: 'wait for the next line',
        postscreen_greet_action: 'enforce',
        postscreen_pipelining_enable: 'yes',
        postscreen_pipelining_action: 'enforce',
        postscreen_non_smtp_command_enable: 'yes',
        postscreen_non_smtp_command_action: 'enforce',
        postscreen_bare_newline_enable: 'yes',
        postscreen_bare_newline_action: 'enforce',
        smtpd_tls_security_level: 'may',
        smtpd_tls_cert_file: '$config_directory/certificate.pem',
        smtpd_tls_key_file: '$config_directory/key.pem',
      },
      append: {
        'master.cf': `
${ADDRESS}:25 inet n - n - 1 postscreen
smtpd    pass - - n - - smtpd
dnsblog  unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
`,
      },
      files: { 'certificate.pem': SELF_SIGNED.cert, 'key.pem': SELF_SIGNED.key },
    }),
  ]);
  const deliver = async (local: string): Promise<readonly string[]> => {
    const recipient = `${local}@postfix.test`;
    const content = Buffer.from(`From: ${SENDER}\r\nSubject: ${local}\r\n\r\nHello.\r\n`);
    await handOver(receiver.url, { id: local, sender: SENDER, recipients: [recipient], content });
    await receiver.delivered(recipient).catch(async (error) => {
      throw new Error(await postfix.log(), { cause: error });
    });
    const [mail = Buffer.alloc(0), ...doubles] = await postfix.mailbox(recipient);
    assert.equal(doubles.length, 0);
    assert.match(fieldsBefore(mail, content).at(-1) ?? '', TRACE);
    const told = receiver
      .records(recipient)
      .map(({ type, response }) => [type, response?.code, response?.enhanced_code, response?.command])
      .map((parts) => parts.filter((part) => part !== undefined && part !== null).join(' '));
    // Who comes back before postscreen has noted the first visit is put off once more.
    return told.filter((line, index) => line !== told[index - 1]);
  };

  await context.test('the first attempt is put off, the next one delivers', async () => {
    assert.deepEqual(await deliver('first'), [
      'XferIn',
      'TransientFailure 450 4.3.2 rcpt',
      'Delivery 250 2.0.0 final',
    ]);
    const log = await postfix.log();
    assert.match(log, /postscreen\[\d+\]: NOQUEUE: reject: RCPT from .*: 450 4\.3\.2 /);
    assert.match(log, /postscreen\[\d+\]: PASS NEW /);
    assert.doesNotMatch(log, /PREGREET|COMMAND PIPELINING|NON-SMTP COMMAND|BARE NEWLINE/);
  });

  await context.test('who passed once is let in at once', async () => {
    assert.deepEqual(await deliver('second'), ['XferIn', 'Delivery 250 2.0.0 final']);
    assert.match(await postfix.log(), /postscreen\[\d+\]: PASS OLD /);
  });
});
