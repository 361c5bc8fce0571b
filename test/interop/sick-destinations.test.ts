// What Postfix and Exim do with the settings of docs/senders/ when a destination is sick in one way or another: every
// message is handed over in the same queue run, and none waits because of those before it. And what stays with the MTA:
// mail that the receiver cannot take now.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from './directory.ts';
import { documentedSidecar, startDocumentedExim, startDocumentedPostfix } from './documented-senders.ts';
import { type Letter, submitAll } from './letters.ts';
import { startNsd } from './name-servers.ts';
import { runWell } from './program.ts';
import { startReceiver } from './receiver.ts';
import { startRecordingSink } from './recording-sink.ts';
import { example, startSidecar } from './sidecar.ts';

const SINK = '10.20.0.60';
const NOBODY = '10.20.0.61';
const BUSY = '10.20.0.62';
const CLEAR = '10.20.0.63';

const SICK = [
  'at-rcpt.test',
  'at-the-dot.test',
  'nobody-listens.test',
  'busy.test',
  'dns-fails.test',
] as const;
/** To each sick domain. Exim starts two processes for each message. */
const COUNT = { postfix: 40, exim: 6 } as const;

test('destinations that are sick', async (context) => {
  await using servers = new AsyncDisposableStack();
  for (const address of [SINK, NOBODY, BUSY, CLEAR]) {
    await runWell('/usr/sbin/ip', ['address', 'replace', `${address}/32`, 'dev', 'lo']);
  }
  const at = (address: string) => `@ MX 10 mx\nmx A ${address}`;
  const dns = await startNsd(servers, '127.0.0.53', {
    'at-rcpt.test': at(SINK),
    'at-the-dot.test': at(SINK),
    'nobody-listens.test': at(NOBODY),
    'busy.test': at(BUSY),
    'dns-fails.test': undefined,
    'secret.test': at(CLEAR),
    'gmail.com': at(SINK),
    'gone.test': '',
  });
  const refuse = ({ from, command, recipient }: { from: string; command: string; recipient: string }) => {
    const atTheDot = recipient.endsWith('@at-the-dot.test');
    return from !== hostname() && (atTheDot ? 'final' : 'RCPT') === command ? '451 4.7.1 Not now' : undefined;
  };
  const sink = await startRecordingSink(servers, SINK, { refuse, tls: false });
  const clear = await startRecordingSink(servers, CLEAR, { tls: false });
  const busy = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('421 4.3.2 busy\r\n');
  }).listen(25, BUSY);
  servers.defer(() => void busy.close());

  const configuration = await documentedSidecar(servers);
  const sidecar = await startSidecar(servers, { configuration });
  const [postfix, exim] = await Promise.all([
    startDocumentedPostfix(servers, {
      name: 'mx1.sender.test',
      port: 10_025,
      main: { minimal_backoff_time: '2s', maximal_backoff_time: '2s', queue_run_delay: '1s' },
      moreMain: 'smtp_tls_policy_maps = inline:{{[127.0.0.1]:2525 = none}, {secret.test = encrypt}}\n',
    }),
    startDocumentedExim(servers, {
      name: 'mx2.sender.test',
      port: 10_026,
      queueRunSeconds: 1,
      retry: '*  *  F,1h,1s',
    }),
  ]);

  await context.test(
    'while no receiver is there, mail stays with its MTA, and goes over once one is',
    async () => {
      await Promise.all([
        submitAll(postfix.port, lettersTo('p-early', 'gmail.com', EARLY), 1),
        submitAll(exim.port, lettersTo('e-early', 'gmail.com', EARLY), 1),
      ]);
      await postfix.logged(
        /to=<p-early-4@gmail\.com>, .* status=deferred \(host 127\.0\.0\.1.* said: 451 4\./,
      );
      await exim.logged(/== e-early-4@gmail\.com R=chosen T=xfer .*451 4\./);
      const [early] = sidecar.handedOver();
      assert.deepEqual([early?.verdict, early?.mode], ['no-route', 'rerouted']);
    },
  );

  const tls = join(await makeDirectory(servers, 'tls'), 'tls.conf');
  await writeFile(tls, 'Domain secret.test { TLS = "required" }\n');
  const receiver = await startReceiver(servers, {
    dns: dns.server,
    args: ['--config', example('receiving.conf'), '--config', tls, '--smtp-port', '2599', ...ALLOWED],
  });
  await context.test('the mail that had stayed arrives', async () => {
    await Promise.all([postfix.emptied(), exim.emptied()]);
    for (const name of ['p-early', 'e-early']) {
      for (let n = 0; n < EARLY; n += 1) {
        const address = `${name}-${n}@gmail.com`;
        await receiver.delivered(address);
        assert.equal(sink.deliveries(address).length, 1);
      }
    }
  });

  await context.test('Postfix: mail for each sick destination leaves at its first attempt', async () => {
    for (const domain of SICK) {
      await submitAll(postfix.port, lettersTo('p', domain, COUNT.postfix), 4);
    }
    await postfix.emptied();
    const ends = endsOf(await postfix.log(), /to=<p-\d+@([\w.-]+)>, relay=(\S+?)\[\S* .*status=(\w+)/g);
    assert.deepEqual(
      ends,
      SICK.map((domain) => `${COUNT.postfix} ${domain} 127.0.0.1 sent`),
    );
  });

  await context.test('Exim: so it does', async () => {
    for (const domain of SICK) await submitAll(exim.port, lettersTo('e', domain, COUNT.exim), 2);
    await exim.emptied();
    const log = await exim.log();
    const ends = endsOf(log, /=> e-\d+@([\w.-]+) R=(\w+) T=\w+ H=127\.0\.0\.1 (?:.*)C="(250)/g);
    const [unresolved] = SICK.slice(-1);
    assert.deepEqual(
      ends,
      SICK.map(
        (domain) => `${COUNT.exim} ${domain} ${domain === unresolved ? 'unresolved' : 'dnslookup'} 250`,
      ),
    );
    assert.doesNotMatch(log, /== e-\d+@/);
  });

  await context.test(
    'a domain that does not exist: Postfix hands the mail over, Exim bounces it',
    async () => {
      await submitAll(postfix.port, lettersTo('p', 'nowhere.gone.test', 1), 1);
      await submitAll(exim.port, lettersTo('e', 'nowhere.gone.test', 1), 1);
      const [line] = await postfix.logged(/to=<p-0@nowhere\.gone\.test>, .*/);
      assert.match(line, /relay=127\.0\.0\.1.* status=sent/);
      await exim.logged(/\*\* e-0@nowhere\.gone\.test: Unrouteable address/);
    },
  );

  await context.test(
    "TLS that Postfix demands of a domain is the receiver's to demand once it has the mail",
    async () => {
      await submitAll(postfix.port, lettersTo('p', 'secret.test', 1), 1);
      await postfix.logged(/to=<p-0@secret\.test>, relay=127\.0\.0\.1.* status=sent/);
      const failure = await receiver.told('p-0@secret.test', 'TransientFailure', 'Delivery');
      assert.equal(failure.type, 'TransientFailure', JSON.stringify(failure));
      assert.equal(clear.count(), 0);
    },
  );
});

const EARLY = 5;
const ALLOWED = ['--allow-network', '10.20.0.0/16'];

function lettersTo(name: string, domain: string, count: number): readonly Letter[] {
  return Array.from({ length: count }, (_, index) => ({
    form: 'plain',
    content: Buffer.from(`From: <alice@sender.test>\r\nSubject: ${index}\r\n\r\nHello.\r\n`),
    mail: '',
    sender: 'alice@sender.test',
    recipients: [{ address: `${name}-${index}@${domain}`, rcpt: '' }],
  }));
}

/** How often which parts stand in the log, in the order of the sick domains. */
function endsOf(log: string, pattern: RegExp): readonly string[] {
  const counts = new Map<string, number>();
  for (const [, ...parts] of log.matchAll(pattern)) {
    const end = parts.join(' ');
    counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  const placeOf = (end: string) => SICK.findIndex((domain) => end.startsWith(`${domain} `));
  return [...counts]
    .filter(([end]) => placeOf(end) >= 0)
    .toSorted(([one], [other]) => placeOf(one) - placeOf(other))
    .map(([end, count]) => `${count} ${end}`);
}
