// A real Haraka hands deferred mail over by its plugin, set up as docs/senders/haraka.md tells: through a sidecar, and
// straight to a receiver that asks for credentials.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashPassword } from '../../shared/access/password.ts';
import { fieldsBefore, TRACE } from './arrival.ts';
import { makeDirectory } from './directory.ts';
import { documentedSettings } from './documented.ts';
import { startHaraka } from './haraka.ts';
import { startNsd } from './name-servers.ts';
import { startReceiver } from './receiver.ts';
import { startRecordingSink } from './recording-sink.ts';
import { example, startSidecar } from './sidecar.ts';
import { submit } from './submission.ts';

const SENDER = 'alice@sender.test';
const NOTHING = Buffer.alloc(0);

const PLACES = [
  '/etc/delay-xfer/sidecar.conf',
  '/etc/haraka/config/plugins',
  '/etc/haraka/config/delay-xfer.ini without a sidecar',
  '/etc/haraka/config/delay-xfer.ini',
] as const;

test('mail that Haraka defers', async (context) => {
  await using servers = new AsyncDisposableStack();
  const told = documentedSettings('senders/haraka.md', PLACES);
  const directory = await makeDirectory(servers, 'haraka-sidecar');
  const [configuration, credentials] = [join(directory, 'sidecar.conf'), join(directory, 'credentials.json')];
  await writeFile(configuration, told(PLACES[0]));
  await writeFile(credentials, JSON.stringify({ credentials: { mx1: await hashPassword('secret') } }));

  // Whoever names itself as one of the Harakas is deferred; the receiver is let in.
  const sink = await startRecordingSink(servers, '127.0.0.20', {
    tls: false,
    refuse: ({ from, command, recipient }) => {
      if (!/^mx\d\.sender\.test$/.test(from)) return undefined;
      return command === 'RCPT' && !recipient.startsWith('taken') ? '451 4.7.1 Greylisted' : undefined;
    },
  });
  const dns = await startNsd(servers, '127.0.0.53', { 'haraka.test': '@ MX 10 mx\nmx A 127.0.0.20' });
  const args = ['--config', example('receiving.conf'), '--credentials', credentials];
  const haraka = {
    destination: '127.0.0.20:25',
    plugins: told(PLACES[1]),
  };
  const [receiver, beside, alone] = await Promise.all([
    startReceiver(servers, { dns: dns.server, args }),
    startHaraka(servers, {
      ...haraka,
      name: 'mx1.sender.test',
      port: 10_025,
      settings: told('/etc/haraka/config/delay-xfer.ini'),
    }),
    startHaraka(servers, {
      ...haraka,
      name: 'mx2.sender.test',
      port: 10_026,
      settings: told('/etc/haraka/config/delay-xfer.ini without a sidecar'),
    }),
  ]);
  const submitted = async (server: string, to: readonly string[], content: Buffer) => {
    const { status, output } = await submit(servers, { server, from: SENDER, to, content });
    assert.equal(status, 0, output);
  };

  await context.test('stays in its queue while nobody takes it, and goes over later, once', async () => {
    const content = letter('handed over later');
    await submitted(beside.server, ['bob@haraka.test'], content);
    await beside.logged(/kept, \S{43} was not taken: connect ECONNREFUSED 127\.0\.0\.1:8081/);
    assert.equal((await beside.queue()).length, 1);
    assert.deepEqual(sink.contents('bob@haraka.test'), []);

    const sidecar = await startSidecar(servers, { configuration, port: 2601 });
    await beside.logged(/handed over as \S{43}: accepted/);
    await beside.emptied();
    await receiver.delivered('bob@haraka.test');
    const [mail = NOTHING, ...doubles] = sink.contents('bob@haraka.test');
    assert.equal(doubles.length, 0);
    const [trace = '', ...fields] = fieldsBefore(mail, content);
    assert.match(trace, TRACE);
    assert.match(trace, /^Received: from mx1\.sender\.test\r/);
    assert.deepEqual(
      fields.map((field) => /^Received: (?:from client\.example|\(Haraka outbound\))/.test(field)),
      [true, true],
    );
    const [handedOver] = sidecar.handedOver();
    assert.deepEqual(
      [handedOver?.recipients, handedOver?.mode, handedOver?.verdict],
      [['bob@haraka.test'], 'delayed', 'accepted'],
    );
  });

  await context.test('goes over for those recipients alone that were deferred', async () => {
    const content = letter('for three');
    const recipients = ['taken@haraka.test', 'carol@haraka.test', '"d e"@haraka.test'];
    await submitted(beside.server, recipients, content);
    for (const recipient of recipients.slice(1)) await receiver.delivered(recipient);
    await beside.emptied();
    for (const recipient of recipients) {
      const [mail = NOTHING, ...doubles] = sink.contents(recipient);
      assert.equal(doubles.length, 0, recipient);
      const ours = fieldsBefore(mail, content).filter((field) => TRACE.test(field));
      assert.equal(ours.length, recipient === 'taken@haraka.test' ? 0 : 1, recipient);
    }
  });

  await context.test('goes straight to a receiver, with credentials', async () => {
    const content = letter('straight');
    await submitted(alone.server, ['erin@haraka.test'], content);
    await alone.logged(/handed over as \S{43}: accepted/);
    await alone.emptied();
    await receiver.delivered('erin@haraka.test');
    const [mail = NOTHING, ...doubles] = sink.contents('erin@haraka.test');
    assert.equal(doubles.length, 0);
    assert.match(fieldsBefore(mail, content)[0] ?? '', TRACE);
  });
});

/** What SMTP and a queue could spoil: dots at line starts, spaces at line ends, octets of no charset. */
function letter(subject: string): Buffer {
  return Buffer.concat([
    Buffer.from(`From: ${SENDER}\r\nMessage-ID: <${subject.replaceAll(' ', '-')}@sender.test>\r\n`),
    Buffer.from(`Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: ${subject}\r\n\r\n`),
    Buffer.from('.\r\n..\r\n...three dots\r\ntrailing spaces  \r\n\r\n\r\n'),
    Buffer.from([0xe4, 0xff, 0x80, 0x0d, 0x0a]),
    Buffer.from(`${'long '.repeat(190)}\r\n.the end\r\n`),
  ]);
}
