// Mail as other people's programs send it: swaks to the sidecar of `npm start`, and curl with the examples of
// docs/xfer-protocol.md, each run as it is written there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fieldsBefore, TRACE } from './arrival.ts';
import { startExim } from './exim.ts';
import { startNsd } from './name-servers.ts';
import { run } from './program.ts';
import { startReceiver } from './receiver.ts';
import { submit } from './submission.ts';

const SENDER = 'alice@sender.test';
const ACCEPTED = /^<- {2}250 2\.0\.0 [A-Za-z0-9_-]{43} accepted$/m;

test('mail from swaks and curl', { concurrency: true }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const dns = await startNsd(servers, '127.0.0.53', { 'example.net': '@ MX 10 mx\nmx A 127.0.0.30' });
  const [exim, receiver] = await Promise.all([
    startExim(servers, {
      name: 'mx.example.net',
      addresses: ['127.0.0.30'],
      mailboxes: ['a', 'c', 'john, doe', 'plain', 'octets', 'large', 'one', 'two'].map(
        (name) => `${name}@example.net`,
      ),
    }),
    startReceiver(servers, { dns: dns.server }),
  ]);

  const submissions = [
    { title: 'a plain message', to: ['plain'], content: letter('plain'), options: [] },
    {
      title: 'octets of no charset, with PIPELINING',
      to: ['octets'],
      content: Buffer.concat([letter('octets'), Buffer.from([0xe9, 0x80, 0xff, 0x0d, 0x0a])]),
      options: ['--pipeline'],
    },
    { title: 'a message to two people', to: ['one', 'two'], content: letter('two'), options: [] },
    {
      title: 'a message of 6 megabytes',
      to: ['large'],
      content: Buffer.concat([letter('large'), Buffer.from(`${'l'.repeat(98)}\r\n`.repeat(60_000))]),
      options: [],
    },
  ];

  await Promise.all([
    ...submissions.map(({ title, to, content, options }) =>
      context.test(`swaks sends ${title}: it arrives as it was sent`, async () => {
        const recipients = to.map((name) => `${name}@example.net`);
        const { status, output } = await submit(servers, {
          server: '127.0.0.1:2525',
          from: SENDER,
          to: recipients,
          content,
          options,
        });
        assert.equal(status, 0, output);
        assert.match(output, ACCEPTED);
        for (const recipient of recipients) {
          await receiver.delivered(recipient);
          const [mail = Buffer.alloc(0), ...doubles] = await exim.mailbox(recipient);
          assert.equal(doubles.length, 0);
          assert.match(fieldsBefore(mail, content).at(-1) ?? '', TRACE);
        }
      }),
    ),

    context.test('each example of the protocol document gives the answer that it should', async () => {
      const answers: string[] = [];
      for (const example of shellExamples()) {
        const { status, output } = await run('/bin/bash', ['-eu', '-c', example]);
        assert.equal(status, 0, `${example}\n${output}`);
        answers.push(output.trimEnd());
      }
      assert.deepEqual(answers, [
        '{"messages":[{"id":"example-frame-1","status":"accepted"}]}',
        '{"messages":[{"id":"example-frame-2","status":"accepted"},{"id":"example-frame-3","status":"accepted"}]}',
        '{"messages":[{"id":"example-json-1","status":"accepted"}]}',
        '{"messages":[{"id":"example-rfc822-1","status":"accepted"}]}',
        '{"id":"e6d0c8a4f7b94c1d9a3e5b7f2c4d6e80"}',
        'upload: 200\n{"messages":[{"id":"example-upload-1","status":"accepted"}]}',
        '{"id":"example-never-sent","status":"withdrawn"}',
      ]);

      const hello = Buffer.from('From: b@example.com\r\nSubject: hello\r\n\r\nHello.\r\n');
      const again = Buffer.from('From: b@example.com\r\nSubject: again\r\n\r\nHello.\r\n');
      const line = 'A line that stands here very many times, to make the content large\r\n';
      const large = Buffer.from(`From: b@example.com\r\nSubject: large\r\n\r\n${line.repeat(80_000)}`);
      for (const [address, contents] of [
        ['a@example.net', [hello, hello, hello, hello, hello, large]],
        ['c@example.net', [again]],
        ['john, doe@example.net', [hello]],
      ] as const) {
        const mails = await exim.mailbox(address, contents.length);
        assert.equal(mails.length, contents.length);
        const bySize = mails.toSorted((one, other) => one.length - other.length);
        for (const [index, mail] of bySize.entries()) {
          assert.match(fieldsBefore(mail, contents[index] ?? hello).at(-1) ?? '', TRACE);
        }
      }
    }),
  ]);
});

function letter(subject: string): Buffer {
  return Buffer.from(`From: ${SENDER}\r\nSubject: ${subject}\r\n\r\n.\r\n..two dots\r\n`);
}

/** Every block of shell commands, without those that leave something out. */
function shellExamples(): readonly string[] {
  const document = readFileSync(new URL('../../docs/xfer-protocol.md', import.meta.url), 'utf8');
  const blocks = [...document.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  return blocks.filter((block) => !block.includes('…'));
}
