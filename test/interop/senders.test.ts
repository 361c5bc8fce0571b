// A Postfix and an Exim, set up as docs/senders/ tells, each with 200 messages of every kind whose destination defers
// them, and 200 for domains that go over whole: by the sidecar and the receiver, each in a process of its own, to a sink
// that keeps what it gets. Every message arrives once, with the octets and the parameters that were submitted.
//
// INTEROP_LETTERS is how many, 200 when absent; INTEROP_SEED draws others.

import assert from 'node:assert/strict';
import { hostname, setPriority } from 'node:os';
import { test } from 'node:test';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import { seeded } from '../journeys/port-orders.ts';
import { fieldNames, fieldsBefore, TRACE } from './arrival.ts';
import { documentedSidecar, startDocumentedExim, startDocumentedPostfix } from './documented-senders.ts';
import { drawLetters, type Letter, type LetterRecipient, submitAll } from './letters.ts';
import { startNsd } from './name-servers.ts';
import { runWell } from './program.ts';
import { startReceiver } from './receiver.ts';
import { type Delivery, startRecordingSink } from './recording-sink.ts';
import { example, startSidecar } from './sidecar.ts';
import { until } from './until.ts';

const COUNT = Number(process.env['INTEROP_LETTERS'] ?? 200);
const SEED = Number(process.env['INTEROP_SEED'] ?? 20_261_124);
const CONNECTIONS = 4;
/** As for nice(1). */
const LESS_URGENT = 10;
/** For all of a stream's mail, on a slow and loaded machine. */
const PATIENCE_MS = 60_000;

const SINK = '10.20.0.60';
const NOBODY = '10.20.0.61';
const POSTFIX = 'mx1.sender.test';
const EXIM = 'mx2.sender.test';

/** Domains whose mail comes back, each in its own way, and domains that the MTA does not try. */
const DEFERRING = ['at-rcpt.test', 'at-the-dot.test', 'behind-a-dead-host.test'] as const;
const CHOSEN = ['gmail.com', 'outlook.com'] as const;

test('mail that a Postfix and an Exim hand over', async (context) => {
  context.diagnostic(`INTEROP_SEED=${SEED} INTEROP_LETTERS=${COUNT}`);
  await using servers = new AsyncDisposableStack();
  for (const address of [SINK, NOBODY]) {
    await runWell('/usr/sbin/ip', ['address', 'replace', `${address}/32`, 'dev', 'lo']);
  }
  const dns = await startNsd(servers, '127.0.0.53', {
    ...Object.fromEntries(
      [...DEFERRING.slice(0, 2), ...CHOSEN].map((domain) => [domain, `@ MX 10 mx\nmx A ${SINK}`]),
    ),
    [DEFERRING[2]]: `@ MX 10 dead\n@ MX 20 mx\ndead A ${NOBODY}\nmx A ${SINK}`,
  });
  const sink = await startRecordingSink(servers, SINK, {
    refuse({ from, command, recipient }) {
      if (from === hostname()) return undefined;
      const atTheDot = recipient.endsWith(`@${DEFERRING[1]}`);
      return (atTheDot ? 'final' : 'RCPT') === command ? '451 4.7.1 Not now' : undefined;
    },
  });
  const receiver = await startReceiver(servers, {
    dns: dns.server,
    args: ['--config', example('receiving.conf'), '--smtp-port', '2599', '--allow-network', '10.20.0.0/16'],
  });
  // It has its stores in its own process, and one that answers late has failed: the others are less urgent.
  setPriority(LESS_URGENT);
  const sidecar = await startSidecar(servers, { configuration: await documentedSidecar(servers) });
  const [postfix, exim] = await Promise.all([
    startDocumentedPostfix(servers, { name: POSTFIX, port: 10_025 }),
    startDocumentedExim(servers, { name: EXIM, port: 10_026, queueRunSeconds: 1 }),
  ]);

  const random = seeded(SEED);
  const streams = [
    { title: 'deferred mail of Postfix', mta: postfix, name: 'p-late', domains: DEFERRING, mode: 'delayed' },
    { title: 'chosen domains of Postfix', mta: postfix, name: 'p-all', domains: CHOSEN, mode: 'rerouted' },
    { title: 'deferred mail of Exim', mta: exim, name: 'e-late', domains: DEFERRING, mode: 'delayed' },
    { title: 'chosen domains of Exim', mta: exim, name: 'e-all', domains: CHOSEN, mode: 'rerouted' },
  ] as const;
  let largestBytes = 0;
  // One after the other: the emulators of the receiver share the machine with all of this.
  for (const { title, mta, name, domains, mode } of streams) {
    await context.test(`${title}: ${COUNT} messages arrive once, as they were submitted`, async () => {
      const letters = drawLetters(random, { count: COUNT, name, domains });
      largestBytes = Math.max(largestBytes, ...letters.map(({ content }) => content.length));
      await submitAll(mta.port, letters, CONNECTIONS);
      const endAt = performance.now() + PATIENCE_MS;
      for (const letter of letters) {
        for (const recipient of letter.recipients) {
          const what = `${recipient.address} (${letter.form}, seed ${SEED})`;
          const delivery = await until(
            `there is mail for ${what}`,
            () => sink.deliveries(recipient.address)[0],
            async () => evidenceOf(letter, await mta.log(), receiver.records(recipient.address)),
            Math.max(endAt - performance.now(), 0),
          );
          assertArrived(what, delivery, letter, recipient, mta === exim);
        }
      }
      await mta.emptied();
      const addresses = letters.flatMap((letter) => letter.recipients.map(({ address }) => address));
      for (const address of addresses) {
        await receiver.delivered(address);
        assert.equal(sink.deliveries(address).length, 1, address);
        sink.forget(address);
      }
      const ours = sidecar.handedOver().filter(({ recipients }) => recipients[0]?.includes(name));
      assert.deepEqual([...new Set(ours.map((record) => record.mode))], [mode]);
    });
  }
  const someWasUploaded = largestBytes > MAX_INLINE_BYTES;
  assert.ok(someWasUploaded || COUNT < 200, 'some content is over what travels with its transfer');
});

/** Every recipient's mail was submitted by the client, taken by one MTA, and delivered by the receiver. */
function assertArrived(
  what: string,
  delivery: Delivery,
  letter: Letter,
  recipient: LetterRecipient,
  byExim: boolean,
): void {
  assert.equal(delivery.from, hostname(), what);
  const content = byExim ? throughExim(letter) : throughPostfix(letter);
  const fields = fieldsBefore(delivery.content, content);
  assert.deepEqual(fieldNames(fields), ['Received', 'Received'], what);
  assert.match(fields[0] ?? '', TRACE, what);
  assert.match(fields[1] ?? '', byExim ? TRACE_OF_EXIM : TRACE_OF_POSTFIX, what);

  const [mail, rcpt] = [delivery.mail, delivery.rcpt].map(parametersOf);
  assert.ok(delivery.mail.startsWith(`MAIL FROM:<${letter.sender}> `), `${what}: ${delivery.mail}`);
  for (const wanted of parametersOf(letter.mail)) {
    // Whoever sees no octet above 127 may leave BODY out.
    if (!wanted.startsWith('BODY=')) assert.ok(mail?.includes(wanted), `${what}: ${delivery.mail}`);
  }
  for (const wanted of parametersOf(recipient.rcpt)) {
    assert.ok(rcpt?.includes(wanted), `${what}: ${delivery.rcpt}`);
  }
}

const TRACE_OF_POSTFIX = /^Received: from client\.example .*\r\n\tby mx1\.sender\.test \(Postfix\)/s;
const TRACE_OF_EXIM = /^Received: from \[127\.0\.0\.1\] .*\r\n\tby mx2\.sender\.test with/s;

/** Postfix ends its own header with an empty line when what follows is no header. */
function throughPostfix({ form, content }: Letter): Buffer {
  return form === 'no header' ? Buffer.concat([CRLF, content]) : content;
}

/** So does Exim, and it ends any header so. */
function throughExim({ form, content }: Letter): Buffer {
  if (form === 'no header') return Buffer.concat([CRLF, content]);
  return form === 'header only' || form === 'nothing' ? Buffer.concat([content, CRLF]) : content;
}

const CRLF = Buffer.from('\r\n');

/** The conditions of NOTIFY have no order. */
function parametersOf(command: string): readonly string[] {
  return command
    .split(' ')
    .filter((word) => word.includes('='))
    .map((word) =>
      word.startsWith('NOTIFY=') ? `NOTIFY=${word.slice(7).split(',').toSorted().join(',')}` : word,
    );
}

/** What an MTA logged of anything but success, and what the receiver recorded. */
function evidenceOf(letter: Letter, log: string, records: readonly unknown[]): string {
  const troubles = log.split('\n').filter((line) => /deferred|bounced|warning|==|\*\*|error/i.test(line));
  const told = [letter.sender, letter.mail, letter.content.length, ...records].map((each) =>
    JSON.stringify(each),
  );
  return [...told, ...troubles.slice(0, 40)].join('\n');
}
