// The same messages by three ways to the same sink: Postfix's own client, ours in the whole stack (over TLS), and ours
// alone (now over TLS, now in clear) with the content cut at any octet. They arrive identical but for the trace that Postfix and the stack put in front.
//
// INTEROP_DIFFERENTIAL is how many, 50 when absent; INTEROP_SEED draws others. What Postfix changes, whatever it is told,
// is written in `throughPostfix`; contents with bare CR or LF are not drawn: Postfix makes lines of them, we refuse them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TlsDemand } from '../../shared/smtp/client.ts';
import { connectRaw } from '../dialogs/sidecar-smtp-client.ts';
import { seeded } from '../journeys/port-orders.ts';
import { TRACE } from './arrival.ts';
import { contentOf, envelope, openSession, target } from './client.ts';
import { type GeneratedMail, generateMail, type Random } from './generated-mail.ts';
import { startNsd } from './name-servers.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { startRecordingSink } from './recording-sink.ts';
import { handOver } from './transfer.ts';
import { until } from './until.ts';

const COUNT = Number(process.env['INTEROP_DIFFERENTIAL'] ?? 50);
const SEED = Number(process.env['INTEROP_SEED'] ?? 20_261_123);
/** Messages under way at once. */
const BATCH = 10;

const SENDER = 'alice@sender.test';
const SINK = '127.0.0.60';

test(`${COUNT} generated messages arrive from us as they do from Postfix`, async (context) => {
  context.diagnostic(`INTEROP_SEED=${SEED} INTEROP_DIFFERENTIAL=${COUNT}`);
  await using servers = new AsyncDisposableStack();
  const dns = await startNsd(servers, '127.0.0.53', { 'sink.test': `@ MX 10 mx\nmx A ${SINK}` });
  const sink = await startRecordingSink(servers, SINK);
  const [receiver, postfix] = await Promise.all([
    startReceiver(servers, { dns: dns.server }),
    startPostfix(servers, {
      name: 'mx1.sender.test',
      address: '127.0.0.1',
      port: 10_025,
      main: {
        relayhost: `[${SINK}]:25`,
        // Content is to go through as it is.
        smtp_line_length_limit: '0',
        message_drop_headers: '',
        always_add_missing_headers: 'no',
        remote_header_rewrite_domain: '',
        disable_mime_input_processing: 'yes',
        disable_mime_output_conversion: 'yes',
        smtputf8_enable: 'no',
        header_size_limit: '10000000',
      },
    }),
  ]);

  const random = seeded(SEED);
  for (let from = 0; from < COUNT; from += BATCH) {
    const size = Math.min(BATCH, COUNT - from);
    const batch = Array.from({ length: size }, (_, index) => ({
      ...generateMail(random, from + index, COUNT),
      number: from + index,
    }));
    await Promise.all([
      submitToPostfix(postfix.port, batch),
      handOver(
        receiver.url,
        ...batch.map(({ number, content }) => ({
          id: `differential-${number}`,
          sender: SENDER,
          recipients: [`stack-${number}@sink.test`],
          content,
        })),
      ),
      sendByClient(random, batch, from % (2 * BATCH) === 0 ? 'no' : 'required'),
    ]);
    for (const mail of batch) {
      const arrived = (way: string) => {
        const recipient = `${way}-${mail.number}@sink.test`;
        return until(
          `there is mail for ${recipient} (${mail.form}, seed ${SEED})`,
          () => sink.contents(recipient)[0],
          async () => `${JSON.stringify(receiver.records(recipient))}\n${await postfix.log()}`,
        );
      };
      const [byPostfix, byStack, byClient] = await Promise.all(['postfix', 'stack', 'client'].map(arrived));
      const ended = withFinalCrlf(mail.content);
      const { tls_protocol_version: tls } = await receiver.delivered(`stack-${mail.number}@sink.test`);
      assert.equal(tls, 'TLSv1.3');
      assertSame(`client ${describe(mail)}`, byClient, ended);
      assertSame(`stack ${describe(mail)}`, behind(TRACE, byStack), ended);
      assertSame(
        `Postfix ${describe(mail)}`,
        behind(TRACE_OF_POSTFIX, byPostfix),
        throughPostfix(mail, ended),
      );
    }
    for (const { number } of batch)
      for (const way of ['postfix', 'stack', 'client']) {
        const recipient = `${way}-${number}@sink.test`;
        assert.equal(sink.contents(recipient).length, 1, recipient);
        sink.forget(recipient);
      }
  }
});

interface Numbered extends GeneratedMail {
  readonly number: number;
}

function describe({ number, form, content }: Numbered): string {
  return `${number}: ${form}, ${content.length} octets, seed ${SEED}`;
}

/** SMTP ends the last line, whoever sends it. */
function withFinalCrlf(content: Buffer): Buffer {
  const ended = content.length === 0 || content.subarray(-2).equals(Buffer.from('\r\n'));
  return ended ? content : Buffer.concat([content, Buffer.from('\r\n')]);
}

/** Postfix ends its own header with an empty line when what follows is no header. */
function throughPostfix({ form }: GeneratedMail, content: Buffer): Buffer {
  return form === 'no header' ? Buffer.concat([Buffer.from('\r\n'), content]) : content;
}

const TRACE_OF_POSTFIX = /^Received: from client\.test .*\r\n\tby mx1\.sender\.test \(Postfix\)/s;

/** What is behind the first field, which must be this trace. */
function behind(trace: RegExp, mail: Buffer | undefined): Buffer {
  const octets = mail ?? Buffer.alloc(0);
  let end = octets.indexOf('\r\n');
  while (octets[end + 2] === 0x20 || octets[end + 2] === 0x09) end = octets.indexOf('\r\n', end + 2);
  assert.match(octets.toString('latin1', 0, end), trace);
  return octets.subarray(end + 2);
}

function assertSame(what: string, got: Buffer | undefined, wanted: Buffer): void {
  if (got?.equals(wanted)) return;
  const octets = got ?? Buffer.alloc(0);
  const at = octets.findIndex((octet, position) => octet !== wanted[position]);
  const first = at < 0 ? Math.min(octets.length, wanted.length) : at;
  const [shown, instead] = [octets, wanted].map((each) =>
    JSON.stringify(each.toString('latin1', Math.max(first - 40, 0), first + 40)),
  );
  assert.fail(
    `${what}: ${octets.length} octets came; from octet ${first} on they differ:\n${shown}\ninstead of\n${instead}`,
  );
}

/** By hand, over one connection. */
async function submitToPostfix(port: number, batch: readonly Numbered[]): Promise<void> {
  const client = await connectRaw(port);
  await client.say('EHLO client.test');
  for (const { number, content } of batch) {
    await client.say(`MAIL FROM:<${SENDER}> BODY=8BITMIME`);
    await client.say(`RCPT TO:<postfix-${number}@sink.test>`);
    assert.match(await client.say('DATA'), /^354 /);
    const lines = `\r\n${withFinalCrlf(content).toString('latin1')}`;
    client.write(Buffer.from(`${lines.replaceAll('\r\n.', '\r\n..').slice(2)}.\r\n`, 'latin1'));
    assert.match(await client.reply(), /^250 /);
  }
  await client.say('QUIT');
  client.socket.destroy();
}

/** All over one session, each content in pieces that end anywhere, most of all beside a CRLF or a dot. */
async function sendByClient(
  random: Random,
  batch: readonly Numbered[],
  mode: TlsDemand['mode'],
): Promise<void> {
  const session = await openSession(target('mx.sink.test', SINK, { mode, verify: false }));
  const results = [];
  for (const { number, content } of batch) {
    const mail = envelope(SENDER, [`client-${number}@sink.test`], { body: '8BITMIME' });
    await session.ready();
    results.push(session.transact(mail, contentOf(content, cuts(random, content))));
  }
  for (const result of results) {
    const settled = await result;
    assert.ok(
      settled.kind === 'settled' && settled.outcomes[0]?.kind === 'delivered',
      JSON.stringify(settled),
    );
  }
  await session.quit();
}

/** At most a few thousand, in order. */
function cuts(random: Random, content: Buffer): readonly number[] {
  const ends: number[] = [];
  for (let at = 1; at < content.length && ends.length < 4_000; at += 1 + Math.floor(random() * 4)) {
    if ([0x0a, 0x0d, 0x2e].includes(content[at] ?? 0) || random() < 0.01) ends.push(at);
  }
  return ends;
}
