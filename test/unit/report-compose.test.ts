// Reports as octets, and as two mail parsers read them: mailparser and postal-mime.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { composeReport } from '../../shared/report/compose.ts';
import type { Returned } from '../../shared/report/original.ts';
import type { Report, ReportedMessage, ReportedRecipient } from '../../shared/report/report.ts';
import { READERS } from './report-readers.ts';

const TEN = Date.UTC(2026, 10, 22, 10);
const ELEVEN = Date.UTC(2026, 10, 22, 11);

const MESSAGE: ReportedMessage = {
  id: '0J9ZK',
  sender: 'b+7@sender.example',
  smtputf8: false,
  requireTls: false,
  sizeBytes: 1_000,
  receivedFrom: 'mx1.sender.example',
  receivedAtMs: TEN,
  expiresAtMs: Date.UTC(2026, 10, 27, 10),
};
const REFUSED: ReportedRecipient = {
  address: 'a@example.net',
  reply: { code: 550, enhanced: '5.1.1', text: 'no such user', host: 'mx.example.net' },
  expired: false,
  lastAttemptAtMs: ELEVEN,
};
const ORIGINAL = Buffer.from(
  'From: b@sender.example\r\nMessage-ID: <one@sender.example>\r\nSubject: hello\r\n\r\n.dot\r\nend\r\n',
);
const SETTINGS = { mailerDaemon: 'MAILER-DAEMON@out.example.com', reportingMta: 'out.example.com' };

function report(
  changes: Partial<Omit<Report, 'message'>> & { message?: Partial<ReportedMessage> } = {},
): Report {
  const { message, ...rest } = changes;
  return {
    kind: 'failure',
    id: 'reportreportreportreportreportreportreport1',
    atMs: ELEVEN,
    recipients: [REFUSED],
    ...rest,
    message: { ...MESSAGE, ...message },
  };
}

async function composed(
  asked: Report,
  returned: Returned = 'headers',
  octets: Buffer | undefined = ORIGINAL,
) {
  return composeReport(asked, SETTINGS, returned, octets);
}

test('a failure is told in a multipart/report, octet for octet', async () => {
  const { content, envelope } = await composed(report());
  const [, boundary = ''] = /boundary="([^"]+)"/.exec(content.toString('latin1')) ?? [];
  assert.match(boundary, /^=_[\w-]{32}$/);
  assert.equal(
    content.toString('latin1').replaceAll(boundary, 'BOUNDARY').replaceAll('\r\n', '\n'),
    `From: Mail Delivery System <MAILER-DAEMON@out.example.com>
To: b+7@sender.example
Subject: Undelivered Mail Returned to Sender
Date: Sun, 22 Nov 2026 11:00:00 +0000
Message-ID: <reportreportreportreportreportreportreport1@out.example.com>
Auto-Submitted: auto-replied
In-Reply-To: <one@sender.example>
References: <one@sender.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="BOUNDARY"

--BOUNDARY
Content-Type: text/plain; charset=us-ascii
Content-Description: Notification
Content-Transfer-Encoding: 7bit

This is a report of the mail server out.example.com.

Your message could not be delivered to the recipient below. No further
attempts will be made.

<a@example.net>: host mx.example.net said:
    550 5.1.1 no such user

Message-ID: <one@sender.example>
Received: Sun, 22 Nov 2026 10:00:00 +0000
Log id: 0J9ZK

What mail programs need to know follows, and your message's header.

--BOUNDARY
Content-Type: message/delivery-status
Content-Description: Delivery report
Content-Transfer-Encoding: 7bit

Reporting-MTA: dns; out.example.com
Received-From-MTA: dns; mx1.sender.example
Arrival-Date: Sun, 22 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822; a@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 no such user
Last-Attempt-Date: Sun, 22 Nov 2026 11:00:00 +0000
Final-Log-ID: 0J9ZK

--BOUNDARY
Content-Type: text/rfc822-headers
Content-Description: Header of the message
Content-Transfer-Encoding: 7bit

From: b@sender.example
Message-ID: <one@sender.example>
Subject: hello

--BOUNDARY--
`,
  );
  assert.deepEqual(envelope, {
    sender: '',
    recipients: [{ address: 'b+7@sender.example' }],
    body: '7BIT',
    smtputf8: false,
    requireTls: false,
  });
});

test('the same facts give the same octets, and other content another boundary', async () => {
  const first = await composed(report());
  const again = await composed(report());
  assert.ok(first.content.equals(again.content));
  const other = await composed(report(), 'headers', Buffer.from('Subject: other\r\n\r\n'));
  const boundaryOf = (octets: Buffer) => /boundary="([^"]+)"/.exec(octets.toString('latin1'))?.[1];
  assert.notEqual(boundaryOf(first.content), boundaryOf(other.content));
});

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} finds recipients, actions, statuses and diagnostic codes of a failure`, async () => {
    const longText =
      'The email account that you tried to reach does not exist.\n' +
      "Please try double-checking the recipient's email address for typos or\nunnecessary spaces. " +
      'For more information, go to https://support.mail.example/answer/6596';
    const { content } = await composed(
      report({
        message: { envid: 'QQ314159' },
        recipients: [
          {
            ...REFUSED,
            orcpt: 'rfc822;A.Lias@sender.example',
            reply: { code: 550, enhanced: '5.1.1', text: longText, host: 'mx.example.net' },
          },
          {
            address: 'late@example.net',
            reply: { code: 451, enhanced: '4.7.1', text: 'greylisted', host: 'mx.example.net' },
            expired: true,
            lastAttemptAtMs: ELEVEN,
          },
          {
            address: 'old@example.net',
            reply: { code: 554, text: 'go away', host: 'mx.example.net' },
            expired: false,
            lastAttemptAtMs: ELEVEN,
          },
          {
            address: 'a@nowhere.test',
            reply: { code: 550, enhanced: '5.1.2', text: 'the domain does not exist' },
            expired: false,
            lastAttemptAtMs: ELEVEN,
          },
        ],
      }),
      'full',
    );
    const { message, recipients, parts, enclosed, ...top } = await read(content);
    assert.deepEqual(
      [top.from, top.to, top.subject],
      ['MAILER-DAEMON@out.example.com', 'b+7@sender.example', 'Undelivered Mail Returned to Sender'],
    );
    assert.ok(top.text.includes('550 5.1.1 The email account that you tried to reach does not exist.'));
    assert.deepEqual(message, {
      'original-envelope-id': 'QQ314159',
      'reporting-mta': 'dns; out.example.com',
      'received-from-mta': 'dns; mx1.sender.example',
      'arrival-date': 'Sun, 22 Nov 2026 10:00:00 +0000',
    });
    const last = {
      'last-attempt-date': 'Sun, 22 Nov 2026 11:00:00 +0000',
      'final-log-id': '0J9ZK',
    };
    assert.deepEqual(recipients, [
      {
        'original-recipient': 'rfc822; A.Lias@sender.example',
        'final-recipient': 'rfc822; a@example.net',
        action: 'failed',
        status: '5.1.1',
        'remote-mta': 'dns; mx.example.net',
        'diagnostic-code': `smtp; 550 5.1.1 ${longText.replaceAll('\n', ' ')}`,
        ...last,
      },
      {
        'final-recipient': 'rfc822; late@example.net',
        action: 'failed',
        status: '4.4.7',
        'remote-mta': 'dns; mx.example.net',
        'diagnostic-code': 'smtp; 451 4.7.1 greylisted',
        ...last,
      },
      {
        'final-recipient': 'rfc822; old@example.net',
        action: 'failed',
        status: '5.0.0',
        'remote-mta': 'dns; mx.example.net',
        'diagnostic-code': 'smtp; 554 go away',
        ...last,
      },
      {
        'final-recipient': 'rfc822; a@nowhere.test',
        action: 'failed',
        status: '5.1.2',
        'diagnostic-code': 'x-delay-xfer; 550 5.1.2 the domain does not exist',
        ...last,
      },
    ]);
    assert.deepEqual(parts, ['message/delivery-status', 'message/rfc822']);
    assert.match(String(enclosed), /^From: b@sender.example\r?\nMessage-ID/);
  });

  test(`${name} reads that a message is delayed, and until when it is tried`, async () => {
    const reply = { code: 451, enhanced: '4.7.1', text: 'later', host: 'mx.example.net' };
    const { content } = await composed(report({ kind: 'delay', recipients: [{ ...REFUSED, reply }] }));
    const { recipients, subject, text } = await read(content);
    assert.equal(subject, 'Delayed Mail (still being retried)');
    assert.deepEqual(
      [recipients[0]?.['action'], recipients[0]?.['status'], recipients[0]?.['will-retry-until']],
      ['delayed', '4.7.1', 'Fri, 27 Nov 2026 10:00:00 +0000'],
    );
    assert.match(
      text.replaceAll(/\s+/g, ' '),
      /You need not send it again: attempts go on until Fri, 27 Nov/,
    );
  });

  test(`${name} reads that a message was relayed without further reports`, async () => {
    const reply = { code: 250, text: 'queued as 12345', host: 'mx.example.net' };
    const { content } = await composed(report({ kind: 'relayed', recipients: [{ ...REFUSED, reply }] }));
    const { recipients, text } = await read(content);
    assert.deepEqual(
      [recipients[0]?.['action'], recipients[0]?.['status'], recipients[0]?.['diagnostic-code']],
      ['relayed', '2.0.0', 'smtp; 250 queued as 12345'],
    );
    assert.match(text, /does not report/);
  });

  test(`${name} reads UTF-8 addresses: as they are for a sender who has one, else in ASCII`, async () => {
    const recipients = [{ ...REFUSED, address: 'jörg+x@example.net', orcpt: 'rfc822;Jörg@example.net' }];
    const utf8 = Buffer.from('Subject: Grüße\r\n\r\nend\r\n');
    const ascii = await composed(report({ recipients, message: { smtputf8: true } }), 'headers', utf8);
    assert.equal(ascii.envelope.smtputf8, false);
    const one = await read(ascii.content);
    assert.deepEqual(
      [one.parts, one.recipients[0]?.['original-recipient'], one.recipients[0]?.['final-recipient']],
      [
        ['message/delivery-status', 'message/global-headers'],
        'utf-8; J\\x{F6}rg@example.net',
        'utf-8; j\\x{F6}rg\\x{2B}x@example.net',
      ],
    );
    const sender = 'δοκιμή@example.com';
    const global = await composed(report({ recipients, message: { smtputf8: true, sender } }), 'full', utf8);
    assert.deepEqual([global.envelope.smtputf8, global.envelope.body], [true, '8BITMIME']);
    const other = await read(global.content);
    assert.deepEqual(
      [other.parts, other.message['reporting-mta']],
      [['message/global-delivery-status', 'message/global'], 'dns; out.example.com'],
    );
    assert.ok(global.content.includes('\r\nTo: δοκιμή@example.com\r\n'));
    assert.ok(global.content.includes('\r\nFinal-Recipient: utf-8; jörg+x@example.net\r\n'));
    assert.match(String(other.enclosed), /Grüße/);
  });
}

test('8-bit content is enclosed octet for octet, and declared', async () => {
  const octets = Buffer.concat([ORIGINAL, Buffer.from([0x80, 0xff, 0xfe]), Buffer.from('\r\nno end')]);
  const { content, envelope } = await composed(report(), 'full', octets);
  assert.ok(content.includes(Buffer.concat([octets, Buffer.from('\r\n--=_')])));
  assert.ok(
    content.includes(
      'Content-Type: message/rfc822\r\nContent-Description: Undelivered message\r\n' +
        'Content-Transfer-Encoding: 8bit\r\n\r\nFrom: b@sender.example\r\n',
    ),
  );
  assert.equal(envelope.body, '8BITMIME');
});

test('content with NUL or with lines over 998 octets is returned by its header', async () => {
  for (const odd of [Buffer.from([0, 13, 10]), Buffer.from(`${'x'.repeat(999)}\r\n`)]) {
    const { content } = await composed(report(), 'full', Buffer.concat([ORIGINAL, odd]));
    assert.ok(content.includes('Content-Type: text/rfc822-headers\r\n'));
    assert.ok(!content.includes('.dot'));
    assert.match(content.toString('latin1'), /your message's header/);
  }
});

test('a header with NUL, long lines or no end is returned in an encoding that carries it', async () => {
  const octets = Buffer.from(`Subject: a\0b\r\nX-Long: ${'x'.repeat(1_200)}\r\nno end`);
  const { content } = await composed(report(), 'headers', octets);
  assert.ok(content.includes('Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: a=00b\r\n'));
  assert.ok(
    content
      .toString('latin1')
      .split('\r\n')
      .every((line) => line.length <= 78),
  );
  const { enclosed } = (await READERS['mailparser']?.(content)) ?? {};
  assert.equal(String(enclosed).trimEnd(), `Subject: a\0b\r\nX-Long: ${'x'.repeat(1_200)}`);
});

test('an 8-bit header comes back in 7 bits, so that every host takes the report', async () => {
  const octets = Buffer.from('Subject: gr\xfc\xdfe\r\n\r\n', 'latin1');
  const { content, envelope } = await composed(report(), 'headers', octets);
  assert.ok(content.includes('Subject: gr=FC=DFe\r\n'));
  assert.equal(envelope.body, '7BIT');
});

test('a message whose content is gone is reported without it', async () => {
  const { content } = await composeReport(report(), SETTINGS, 'full', undefined);
  const { parts, text } = (await READERS['postal-mime']?.(content)) ?? { parts: [], text: '' };
  assert.deepEqual(parts, ['message/delivery-status']);
  assert.match(text, /Your message is not enclosed/);
  assert.ok(!content.includes('In-Reply-To'));
});

test('nothing that a host said ends a field, a line or a part before its time', async () => {
  const text = 'evil\r\n\r\nStatus: 2.0.0\n\n--=_x\n \t\n\x07bell \x1b[31m é 漢字';
  const recipients = [{ ...REFUSED, orcpt: 'rfc822;a@b\r\nX: y', reply: { ...REFUSED.reply, text } }];
  const { content } = await composed(report({ recipients, message: { envid: 'a\r\nb' } }));
  for (const read of Object.values(READERS)) {
    const {
      message,
      recipients: [one],
    } = await read(content);
    assert.equal(message['original-envelope-id'], 'a b');
    assert.equal(one?.['status'], '5.1.1');
    assert.equal(one?.['x'], undefined);
    assert.match(one?.['diagnostic-code'] ?? '', /^smtp; 550 5.1.1 evil +Status: 2.0.0 +--=_x/);
    assert.match(one?.['diagnostic-code'] ?? '', /\?bell \?\[31m \\x\{E9\} \\x\{6F22\}\\x\{5B57\}$/);
  }
  assert.match(
    content.toString('latin1'),
    /charset=utf-8\r\n.*\r\nContent-Transfer-Encoding: quoted-printable/,
  );
});

test('with REQUIRETLS the report asks for TLS as the message did', async () => {
  const { envelope } = await composed(report({ message: { requireTls: true } }));
  assert.equal(envelope.requireTls, true);
});

test('no line of a report is longer than SMTP takes, whatever a host said', async () => {
  const reply = { code: 550, text: `${'漢'.repeat(400)} ${'y'.repeat(512)}`, host: 'mx.example.net' };
  const { content } = await composed(report({ recipients: [{ ...REFUSED, reply }] }));
  assert.ok(
    content
      .toString('latin1')
      .split('\r\n')
      .every((line) => line.length <= 998),
  );
});

test('a long address stands whole on its line, in either form', async () => {
  const address = `${'字'.repeat(21)}@${'例'.repeat(15)}.example`;
  const { content } = await composed(report({ recipients: [{ ...REFUSED, address }] }));
  const lines = content.toString('utf8').split('\r\n');
  const line = lines.find(
    (each) => each.startsWith(' utf-8; ') || each.startsWith('Final-Recipient: utf-8; '),
  );
  const unitext = [...'字'.repeat(21)].map(() => '\\x{5B57}').join('');
  assert.ok(lines.some((each) => each.includes(`${unitext}@`)) || line?.includes(address), lines.join('\n'));
});
