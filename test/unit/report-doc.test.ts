// docs/reports.md against the code: its sample is what is composed, octet for octet, and its options are those of the
// configuration.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OPTIONS } from '../../shared/config/options.ts';
import { reportId } from '../../shared/queue/pay-reports.ts';
import { composeReport } from '../../shared/report/compose.ts';
import { MAX_RETURNED_BYTES, MAX_UNASKED_BYTES } from '../../shared/report/original.ts';

const DOCUMENT = readFileSync(new URL('../../docs/reports.md', import.meta.url), 'utf8');

test('the sample in the document is what is composed', async () => {
  const atMs = Date.UTC(2026, 10, 22, 11);
  const { content } = await composeReport(
    {
      kind: 'failure',
      id: reportId({ credential: 'acme', id: '0J9ZK', chunk: 0 }, 1, 1),
      atMs,
      recipients: [
        {
          address: 'anna@example.net',
          orcpt: 'rfc822;anna@example.org',
          reply: {
            code: 550,
            enhanced: '5.1.1',
            text: 'The account that you tried to reach does not exist.\nPlease check the address for typos.',
            host: 'mx1.example.net',
          },
          expired: false,
          lastAttemptAtMs: atMs,
        },
      ],
      message: {
        id: '0J9ZK',
        sender: 'b+7@example.com',
        envid: 'QQ314159',
        smtputf8: false,
        requireTls: false,
        sizeBytes: 18_234,
        receivedFrom: 'mx1.example.com',
        receivedAtMs: Date.UTC(2026, 10, 22, 10),
        expiresAtMs: Date.UTC(2026, 10, 27, 10),
      },
    },
    { mailerDaemon: 'MAILER-DAEMON@out.example.com', reportingMta: 'out.example.com' },
    'headers',
    Buffer.from(
      'Message-ID: <7.22@example.com>\r\nFrom: b@example.com\r\nTo: anna@example.org\r\nSubject: hello\r\n\r\nHello.\r\n',
    ),
  );
  const [, sample] = /^## What it looks like\n\n```\n([\s\S]*?)```$/m.exec(DOCUMENT) ?? [];
  assert.equal(sample, content.toString('latin1').replaceAll('\r\n', '\n'));
});

test('the document names the options of reports with their defaults', () => {
  const rows = [...DOCUMENT.matchAll(/^\| `(\w+)` \| ([^|]+) \| /gm)].map((row) => [row[1], row[2]]);
  const { Mailerdaemon: _daemon, ...rest } = {
    Generate_Bounces: OPTIONS.Generate_Bounces,
    Generate_Delay_DSN: OPTIONS.Generate_Delay_DSN,
    Delay_DSN_Retry_Interval: OPTIONS.Delay_DSN_Retry_Interval,
    Delay_DSN_Max_Retry_Interval: OPTIONS.Delay_DSN_Max_Retry_Interval,
    Bounces_Inline_Original: OPTIONS.Bounces_Inline_Original,
    Mailerdaemon: OPTIONS.Mailerdaemon,
  };
  assert.deepEqual(rows, [
    ...Object.entries(rest).map(([name, option]) => [name, String(option.default)]),
    ['Mailerdaemon', '`MAILER-DAEMON` at the host name'],
  ]);
});

test('the document names the limits of what is returned', () => {
  assert.ok(DOCUMENT.includes(`up to ${MAX_RETURNED_BYTES / 1_048_576} MiB`));
  assert.ok(DOCUMENT.includes(`up to ${MAX_UNASKED_BYTES.toLocaleString('en')} octets`));
});
