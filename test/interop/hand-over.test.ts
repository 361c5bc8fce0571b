// The whole way, with real programs at both ends: a Postfix that is set up as docs/senders/postfix.md says hands mail over,
// Postfix and Exim receive it later. All of them ask the same name server.

import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { connectRaw } from '../dialogs/sidecar-smtp-client.ts';
import { fieldNames, fieldsBefore, TRACE } from './arrival.ts';
import { documentedSettings } from './documented.ts';
import { startExim } from './exim.ts';
import { startNsd } from './name-servers.ts';
import { createGreylist, startPolicyService } from './policy-service.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { example, startSidecar } from './sidecar.ts';
import { submit } from './submission.ts';
import { startTap } from './tap.ts';

const SENDER = 'alice@sender.test';

const NOTHING = Buffer.alloc(0);
const SENDERS_TRACE = /^Received: from client\.example .*by mx1\.sender\.test \(Postfix\)/s;

/** Of each sender, recipient and client name the first is deferred. */
const GREYLIST_ONCE = `
  accept
    ratelimit = 1.5 / 1h / strict / $sender_helo_name/$sender_address/$local_part@$domain
  defer
    message = 4.7.1 Greylisted, come back later
`;

test('mail that a Postfix hands over', async (context) => {
  await using servers = new AsyncDisposableStack();
  const greylist = createGreylist();
  const policy = await startPolicyService(servers, greylist.policy);
  const dns = await startNsd(servers, '127.0.0.53', {
    'postfix.test': '@ MX 10 mx\nmx A 127.0.0.20',
    'exim.test': '@ MX 10 mx\nmx A 127.0.0.30',
    'gmail.com': '@ MX 10 mx.postfix.test.',
  });
  const [receiver, delayed, domains] = await Promise.all([
    startReceiver(servers, { dns: dns.server, args: ['--config', example('receiving.conf')] }),
    startSidecar(servers, { configuration: example('sending-delayed.conf'), port: 2601 }),
    startSidecar(servers, { configuration: example('sending-domains.conf'), port: 2602 }),
  ]);
  const toDelayed = await startTap(servers, '127.0.0.1:0', `127.0.0.1:${delayed.port}`);
  const toDestination = await startTap(servers, '127.0.0.20:25', '127.0.0.20:10025');
  const [sender, postfix, exim] = await Promise.all([
    startPostfix(servers, {
      name: 'mx1.sender.test',
      address: '127.0.0.1',
      port: 10_025,
      append: settingsFor(toDelayed.port, domains.port),
    }),
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: '127.0.0.20',
      port: 10_025,
      mailboxes: [
        'bob@postfix.test',
        'erin@postfix.test',
        'frank@postfix.test',
        'carol@gmail.com',
        'dave@gmail.com',
      ],
      main: { smtpd_recipient_restrictions: policy, smtpd_discard_ehlo_keywords: 'chunking' },
    }),
    startExim(servers, {
      name: 'mx.exim.test',
      addresses: ['127.0.0.30'],
      mailboxes: ['erin@exim.test'],
      atRecipient: GREYLIST_ONCE,
    }),
  ]);
  const submitted = async (to: readonly string[], content: Buffer) => {
    const server = `${sender.address}:${sender.port}`;
    const { status, output } = await submit(servers, { server, from: SENDER, to, content });
    assert.equal(status, 0, output);
  };

  await context.test(
    'a message that its destination greylists is handed over, and arrives octet for octet on a later attempt',
    async () => {
      const content = letter('greylisted by Postfix');
      await submitted(['bob@postfix.test'], content);
      await sender.logged(
        /to=<bob@postfix\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .* dsn=2\.0\.0, status=sent \(250 2\.0\.0 \S+ accepted\)/,
      );
      await receiver.delivered('bob@postfix.test');
      const [mail = NOTHING] = await postfix.mailbox('bob@postfix.test');

      // What the first Postfix emitted: its own trace, and the letter as it was written.
      const [emitted = NOTHING, ...others] = toDelayed.contents();
      assert.equal(others.length, 0);
      assert.match(fieldsBefore(emitted, content).join('\n'), SENDERS_TRACE);

      const [onTheWire = NOTHING, ...doubles] = toDestination.contents();
      assert.equal(doubles.length, 0);
      const [trace = '', ...more] = fieldsBefore(onTheWire, emitted);
      assert.match(trace, TRACE);
      assert.match(trace, /^Received: from mx1\.sender\.test\r/);
      assert.deepEqual(more, []);

      const fields = fieldsBefore(mail, emitted);
      const expected = ['Return-Path', 'X-Original-To', 'Delivered-To', 'Received', 'Received'];
      assert.deepEqual(fieldNames(fields), expected);
      assert.equal(fields[0], `Return-Path: <${SENDER}>`);
      assert.equal(fields.at(-1), trace);

      assert.deepEqual(greylist.deferred, [
        `mx1.sender.test ${SENDER} bob@postfix.test`,
        `${hostname()} ${SENDER} bob@postfix.test`,
      ]);
      assert.deepEqual(
        receiver.records('bob@postfix.test').map(({ type, response }) => [type, response?.code]),
        [
          ['XferIn', undefined],
          ['TransientFailure', 451],
          ['Delivery', 250],
        ],
      );
      await sender.emptied();
      assert.equal((await postfix.mailbox('bob@postfix.test')).length, 1);
    },
  );

  await context.test('a message that an Exim greylists arrives there in the same way', async () => {
    const content = letter('greylisted by Exim');
    const before = toDelayed.contents().length;
    await submitted(['erin@exim.test'], content);
    await sender.logged(/to=<erin@exim\.test>, .* status=sent \(250 2\.0\.0 \S+ accepted\)/);
    await receiver.delivered('erin@exim.test');
    const [mail = NOTHING, ...doubles] = await exim.mailbox('erin@exim.test');
    assert.equal(doubles.length, 0);

    const emitted = toDelayed.contents()[before] ?? NOTHING;
    assert.match(fieldsBefore(emitted, content).join('\n'), SENDERS_TRACE);
    const fields = fieldsBefore(mail, emitted);
    assert.deepEqual(fieldNames(fields), ['Return-path', 'Envelope-to', 'Received', 'Received']);
    assert.match(fields.at(-1) ?? '', TRACE);

    const refused = (await exim.log()).match(/H=\S+ .*temporarily rejected RCPT <erin@exim\.test>/g);
    assert.deepEqual(
      refused?.map((line) => line.split(' ')[0]),
      ['H=(mx1.sender.test)', `H=(${hostname()})`],
    );
    assert.deepEqual(
      receiver.records('erin@exim.test').map(({ type }) => type),
      ['XferIn', 'TransientFailure', 'Delivery'],
    );
    await sender.emptied();
  });

  await context.test(
    'a domain that is rerouted whole goes over in one transaction per recipient',
    async () => {
      const content = letter('for gmail.com');
      const recipients = ['carol@gmail.com', 'dave@gmail.com'];
      await submitted(recipients, content);
      for (const recipient of recipients) {
        await sender.logged(
          new RegExp(
            `to=<${recipient}>, relay=.*:${domains.port}, .* status=sent \\(250 2\\.0\\.0 \\S+ accepted\\)`,
          ),
        );
        await receiver.delivered(recipient);
        const [mail = NOTHING, ...doubles] = await postfix.mailbox(recipient);
        assert.equal(doubles.length, 0);
        const fields = fieldsBefore(mail, content);
        assert.match(fields.at(-1) ?? '', SENDERS_TRACE);
        assert.match(fields.at(-2) ?? '', TRACE);
      }
      const handedOver = domains.handedOver();
      assert.deepEqual(
        handedOver.map(({ recipients: to, mode, verdict }) => [...to, mode, verdict].join(' ')).toSorted(),
        ['carol@gmail.com rerouted accepted', 'dave@gmail.com rerouted accepted'],
      );
      assert.equal(new Set(handedOver.map(({ id }) => id)).size, 2);
      await sender.emptied();
    },
  );

  await context.test('what the sender asked to be notified of reaches the destination', async () => {
    const client = await connectRaw(sender.port);
    for (const line of [
      'EHLO client.example',
      `MAIL FROM:<${SENDER}> RET=HDRS ENVID=envelope+2B1 BODY=8BITMIME`,
      'RCPT TO:<erin@postfix.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;erin+2Balias@postfix.test',
      'RCPT TO:<frank@postfix.test> NOTIFY=NEVER',
      'DATA',
    ]) {
      assert.match(await client.say(line), /^[23]/, line);
    }
    client.write(
      `${letter('with DSN parameters, größer').toString('latin1').replaceAll('\r\n.', '\r\n..')}.\r\n`,
    );
    assert.match(await client.reply(), /^250/);
    client.socket.destroy();
    for (const recipient of ['erin@postfix.test', 'frank@postfix.test']) {
      await receiver.delivered(recipient);
    }
    for (const tap of [toDelayed, toDestination]) {
      const commands = tap.commands().filter((line) => / (?:ENVID|NOTIFY)=/.test(line));
      assert.deepEqual([...new Set(commands.map(withSortedParameters))].toSorted(), [
        `MAIL FROM:<${SENDER}> BODY=8BITMIME ENVID=envelope+2B1 RET=HDRS`,
        'RCPT TO:<erin@postfix.test> NOTIFY=DELAY,FAILURE ORCPT=rfc822;erin+2Balias@postfix.test',
        'RCPT TO:<frank@postfix.test> NOTIFY=NEVER ORCPT=rfc822;frank@postfix.test',
      ]);
    }
  });

  await context.test('a recipient that no route leads to stays with its Postfix', async () => {
    const { output } = await submit(servers, {
      server: `127.0.0.1:${domains.port}`,
      from: SENDER,
      to: ['frank@elsewhere.test'],
      content: letter('not for us'),
    });
    assert.match(output, /451 4\.3\.5 Delayed_Reroute_Domain is not set for elsewhere\.test/);
  });
});

/** What SMTP could spoil: dots at line starts, spaces at line ends, octets of no charset, long lines. */
function letter(subject: string): Buffer {
  return Buffer.concat([
    Buffer.from(`From: ${SENDER}\r\nSubject: ${subject}\r\nX-Folded: one\r\n\ttwo  \r\n\r\n`),
    Buffer.from('.\r\n..\r\n...three dots\r\ntrailing spaces  \r\n\r\n\r\n'),
    Buffer.from([0xe4, 0xff, 0x80, 0x0d, 0x0a]),
    Buffer.from(`${'long '.repeat(190)}\r\n.the end\r\n`),
  ]);
}

/** Without SIZE, which each side counts for itself; the conditions of NOTIFY have no order either. */
function withSortedParameters(command: string): string {
  const [verb, path, ...parameters] = command
    .replace(/(?<= NOTIFY=)[A-Z,]+/, (conditions) => conditions.split(',').toSorted().join(','))
    .split(' ');
  return [verb, path, ...parameters.filter((parameter) => !parameter.startsWith('SIZE=')).toSorted()].join(
    ' ',
  );
}

/** What docs/senders/postfix.md tells to add to each file of Postfix; each mode gets its sidecar's port. */
function settingsFor(delayedPort: number, domainsPort: number): Record<'main.cf' | 'master.cf', string> {
  const [main, master] = ['/etc/postfix/main.cf', '/etc/postfix/master.cf'] as const;
  const told = documentedSettings('senders/postfix.md', [main, master]);
  const withPorts = told(main)
    .replaceAll(/^(smtp_fallback_relay|smtp_tls_policy_maps)(.*):2525/gm, `$1$2:${delayedPort}`)
    .replaceAll(':2525', `:${domainsPort}`);
  return { 'main.cf': withPorts, 'master.cf': told(master) };
}
