// Rules that class replies: the shipped ones kept harmless, our own replies, an operator's file and its faults, and
// the field of the log records.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import type { LogRecord, RecordType } from '../../shared/records/records.ts';
import { formatReplyClassFault, readReplyClasses } from '../../shared/report/class-file.ts';
import { createReplyClassifier, type ReplyClassifier } from '../../shared/report/class-of-reply.ts';
import { hazardOf } from '../../shared/report/class-pattern.ts';
import { SHIPPED_RULES } from '../../shared/report/class-rules.ts';
import { silence } from '../../shared/smtp/classify.ts';
import { parseReply } from '../../shared/smtp/parse-reply.ts';
import { ownReply } from '../../shared/smtp/reply.ts';

function classifierOf(toml: string): ReplyClassifier {
  const read = readReplyClasses(toml, 'rules.toml');
  assert.equal(read.kind, 'rules');
  return createReplyClassifier(read.kind === 'rules' ? read.rules : []);
}

function faultsOf(toml: string): readonly string[] {
  const read = readReplyClasses(toml, 'rules.toml');
  return read.kind === 'rules' ? [] : read.faults.map(formatReplyClassFault);
}

const shipped = createReplyClassifier();

test('replies of our own have the class of what happened', () => {
  const told = (
    [
      [silence('timed out', 'connect'), 'NoAnswerFromHost'],
      [silence('connection lost', 'connect'), 'NoAnswerFromHost'],
      [silence('timed out', 'greeting'), 'BadConnection'],
      [silence('timed out', 'rcpt'), 'BadConnection'],
      [silence('connection lost', 'content'), 'BadConnection'],
      [silence('connection lost', 'final'), 'BadConnection'],
      [ownReply(421, '4.4.1', 'no host of the site could be reached'), 'NoAnswerFromHost'],
      [ownReply(421, '4.4.1', 'connect ECONNREFUSED: connection refused'), 'NoAnswerFromHost'],
      [ownReply(421, '4.7.5', 'the TLS handshake failed'), 'BadConnection'],
      [ownReply(450, '4.4.7', 'delivery time expired'), 'MessageExpired'],
      [ownReply(450, '4.4.7', 'delivery time expired before any attempt was possible'), 'MessageExpired'],
      [ownReply(552, '5.3.4', 'mx.example.net takes 10485760 octets, not 20000000'), 'QuotaIssues'],
      [
        ownReply(550, '5.7.30', 'REQUIRETLS is asked for and mx.example.net does not provide it'),
        'PolicyRelated',
      ],
      [
        ownReply(553, '5.6.7', 'mx.example.net does not offer SMTPUTF8, which <jörg@example.net> needs'),
        'ContentRelated',
      ],
      [ownReply(451, '4.5.0', '250 came out of turn: 2.0.0 Ok'), 'ProtocolErrors'],
      [parseReply('hello?'), 'ProtocolErrors'],
      [ownReply(451, '4.4.3', 'DNS did not answer for the mail hosts of example.net'), 'DNSFailure'],
      [ownReply(556, '5.1.10', 'example.net takes no mail (null MX)'), 'BadDomain'],
      [ownReply(550, '5.1.2', 'example.invalid does not exist'), 'BadDomain'],
      [ownReply(550, '5.1.2', 'a..b is not a domain name'), 'BadDomain'],
      [ownReply(550, '5.1.2', '[192.0.2.999] is not an address'), 'BadDomain'],
      [ownReply(550, '5.1.2', 'example.net has neither mail hosts nor an address'), 'BadDomain'],
      [ownReply(451, '4.4.4', 'no mail host of example.net has an address'), 'RoutingErrors'],
      [
        ownReply(451, '4.7.1', 'example.net has no address that mail may go to: 127.0.0.1 is loopback'),
        'PolicyRelated',
      ],
      [
        ownReply(421, '4.4.1', 'mx.example.net [192.0.2.1]:25 cannot be reached: ECONNREFUSED'),
        'NoAnswerFromHost',
      ],
      [
        ownReply(421, '4.4.1', 'mx.example.net [127.0.0.1]:25 is not spoken to: is loopback'),
        'PolicyRelated',
      ],
      [
        ownReply(
          421,
          '4.7.5',
          'TLS must be verified, and the certificate of mx.example.net is not: certificate-expired',
        ),
        'BadConnection',
      ],
      [
        ownReply(421, '4.7.4', 'TLS is required; STARTTLS was answered: 454 4.7.0 not available'),
        'PolicyRelated',
      ],
      [
        ownReply(451, '4.4.4', 'the route of example.net leads nowhere: relay.example does not exist'),
        'RoutingErrors',
      ],
      [
        ownReply(554, '5.6.3', 'mx.example.net does not offer 8BITMIME, which the content needs'),
        'ContentRelated',
      ],
      [ownReply(554, '5.4.6', 'mail for example.net comes back to this host'), 'RoutingErrors'],
    ] as const
  ).map(([reply, expected]) => [reply.text, shipped(reply), expected]);
  assert.deepEqual(
    told.map(([text, found]) => [text, found]),
    told.map(([text, , expected]) => [text, expected]),
  );
});

test('an address decides nothing by what it spells', () => {
  assert.equal(
    shipped({ code: 550, enhanced: '5.1.1', text: '<spamhaus@quota-exceeded.example>' }),
    'InvalidRecipient',
  );
  assert.equal(shipped({ code: 554, text: 'mailbox-full@greylisted.example: no' }), 'Uncategorized');
});

test('the status of Cisco and of qmail, behind a #, counts where words say nothing', () => {
  assert.equal(shipped({ code: 550, text: '#5.2.1 we regret' }), 'InactiveMailbox');
  assert.equal(shipped({ code: 554, text: 'we regret (#5.4.6)' }), 'RoutingErrors');
});

test('no shipped rule repeats a repetition', () => {
  const nested = SHIPPED_RULES.flatMap(({ pattern }) => {
    const hazard = pattern === undefined ? undefined : hazardOf(pattern);
    return hazard?.kind === 'fault' && hazard.message.startsWith('repeats a') ? [pattern] : [];
  });
  assert.deepEqual(nested, []);
});

test('an operator’s rules are asked first, in their order, over the reply with its letter case', () => {
  const classOf = classifierOf(`
    [rules]
    TransientFailure = ["^550 5\\\\.7\\\\.1 .*AUP#", "blacklisted"]
    SpamBlock = ["blacklisted", "^554 Gone$"]
    HouseRule = ['(?i)^451 .+corner case', '^5\\d{2} 5\\.9\\.9 ']
  `);
  assert.equal(classOf({ code: 550, enhanced: '5.7.1', text: 'blocked AUP#I-1000' }), 'TransientFailure');
  assert.equal(classOf({ code: 550, text: 'you are blacklisted' }), 'TransientFailure');
  assert.equal(classOf({ code: 554, text: 'Gone' }), 'SpamBlock');
  assert.equal(classOf({ code: 554, text: 'gone' }), 'Uncategorized');
  assert.equal(classOf({ code: 451, text: 'a CORNER\nCASE of ours' }), 'HouseRule');
  // A blank follows the status also where the text is empty, as KumoMTA writes it.
  assert.equal(classOf({ code: 550, enhanced: '5.9.9', text: '' }), 'HouseRule');
  // What fits none of them is left to the shipped rules.
  assert.equal(classOf({ code: 550, enhanced: '5.1.1', text: 'no such user' }), 'InvalidRecipient');
});

test('a rule can ask for code, status and stage, with a pattern or without', () => {
  const classOf = classifierOf(`
    [rules]
    SpamBlock = [{ code = "55", status = "7.", stage = "mail" }]
    QuotaIssues = [{ pattern = "full", code = "452" }, { status = "8.1" }]
  `);
  const refusal = { code: 550, enhanced: '5.7.1', text: 'no' };
  assert.equal(classOf(refusal, 'mail'), 'SpamBlock');
  assert.equal(classOf(refusal, 'rcpt'), 'PolicyRelated');
  assert.equal(classOf(refusal), 'PolicyRelated');
  assert.equal(classOf({ code: 452, text: 'house full' }), 'QuotaIssues');
  assert.equal(classOf({ code: 450, text: 'house full' }), 'TransientFailure');
  assert.equal(classOf({ code: 550, enhanced: '5.8.1', text: 'x' }), 'QuotaIssues');
  assert.equal(classOf({ code: 550, enhanced: '5.8.10', text: 'x' }), 'Uncategorized');
});

test('everything that is wrong in a rules file is reported together, with its mend', () => {
  assert.deepEqual(
    faultsOf(`
      version = 2
      [rules]
      InvalidRecipent = ["a"]
      SpamBlock = ["(a+)+b", "ok", "(?=x)y", '(a)\\1', "[[:alpha:]]", "(", "a.*b.*c.*d", "(?x)a"]
      QuotaIssues = "full"
      HouseRule = [7, {}, { code = "2" }, { status = "5.1.1" }, { stage = "helo" }, { patern = "x" }]
    `),
    [
      'rules.toml: version is not known; keep to the table [rules]',
      'rules.toml: rules.InvalidRecipent: InvalidRecipent is no class; write InvalidRecipient, or a name that is less like it',
      'rules.toml: rules.SpamBlock[1]: "(a+)+b" repeats a repetition; take the inner or the outer *, + or {n,} away',
      'rules.toml: rules.SpamBlock[3]: "(?=x)y" looks ahead or behind; write it without (?= (?! (?<= (?<!, which the format does not have',
      'rules.toml: rules.SpamBlock[4]: "(a)\\1" refers back to a group; write the words themselves, the format has no back references',
      'rules.toml: rules.SpamBlock[5]: "[[:alpha:]]" uses a POSIX class; write \\d, \\s, \\w or a range',
      'rules.toml: rules.SpamBlock[6]: "(" no regular expression: Unterminated group; mend the expression',
      'rules.toml: rules.SpamBlock[7]: "a.*b.*c.*d" repeats more than 3 times; begin it with ^, and use fewer of *, + and {n,}',
      'rules.toml: rules.SpamBlock[8]: "(?x)a" the flags (?x) are not known here; keep to i, m and s',
      'rules.toml: rules.QuotaIssues: is no list; write QuotaIssues = ["pattern"]',
      'rules.toml: rules.HouseRule[1]: is no rule; write "pattern", or { pattern, code, status, stage }',
      'rules.toml: rules.HouseRule[2]: fits every reply; give it a pattern, code, status or stage',
      'rules.toml: rules.HouseRule[3]: is no rule; code is "4", "55" or "550": the basic code or how it begins',
      'rules.toml: rules.HouseRule[4]: is no rule; status is "1.1", or "7." for every status of that subject',
      'rules.toml: rules.HouseRule[5]: is no rule; stage is connect, greeting, ehlo, starttls, mail, rcpt, data, content or final',
      'rules.toml: rules.HouseRule[6]: is no rule; write "pattern", or { pattern, code, status, stage }',
    ],
  );
});

test('a file that is no TOML, or has no rules, says where and what is missing', () => {
  const [broken = ''] = faultsOf('[rules]\nSpamBlock = ["a"\nx');
  assert.match(broken, /^rules\.toml: line \d, column \d+: .+; mend the TOML$/);
  assert.deepEqual(faultsOf(''), [
    'rules.toml: has no table [rules]; write [rules], and below it Class = ["pattern"]',
  ]);
});

test('the example in docs/classification.md is a file that can be read, and does what the page says', () => {
  const page = readFileSync(new URL('../../docs/classification.md', import.meta.url), 'utf8');
  const example = /```toml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const classOf = classifierOf(example);
  const rows = [...page.matchAll(/^\| `([^`]+)` \| `(\w+)` \| `(\w+)` \|$/gm)];
  assert.equal(rows.length, 4);
  for (const [, raw = '', before, after] of rows) {
    const reply = parseReply(raw);
    assert.equal(shipped(reply), before, raw);
    assert.equal(classOf(reply, 'rcpt'), after, raw);
  }
});

function logged(type: RecordType, response: LogRecord['response']): unknown {
  const lines: string[] = [];
  const log = createJsonLog(
    (line) => lines.push(line),
    () => 0,
    { classify: shipped },
  );
  log.record({
    type,
    event_id: 'e1',
    id: 'm1',
    credential: 'mta1',
    sender: 'alice@example.com',
    recipient: 'bob@example.net',
    queue: 'example.net',
    size: 100,
    ...(response === undefined ? {} : { response }),
    timestamp: 1,
    created: 0,
    num_attempts: 1,
    egress_source: 'default',
    reception_protocol: 'XFER',
    meta: {},
  });
  const record: { bounce_classification?: string } = JSON.parse(lines[0] ?? '{}');
  return record.bounce_classification;
}

test('records of what failed have the class of their reply, others have none', () => {
  const reply = { code: 452, enhanced_code: '4.2.2', content: 'mailbox full', command: 'rcpt' };
  assert.equal(logged('Bounce', { ...reply, code: 552, enhanced_code: '5.2.2' }), 'QuotaIssues');
  assert.equal(logged('TransientFailure', reply), 'QuotaIssues');
  assert.equal(logged('Expiration', { ...reply, enhanced_code: null, command: null }), 'QuotaIssues');
  assert.equal(logged('Delivery', { ...reply, code: 250, enhanced_code: '2.0.0', content: 'Ok' }), undefined);
  assert.equal(logged('Uncertain', reply), undefined);
  assert.equal(logged('Bounce', undefined), undefined);
});
