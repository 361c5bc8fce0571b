// MTA-STS as it is written: TXT records, policies, and which hosts a policy allows (RFC 8461 §3.1, §3.2, §4.1).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allowsHost, parseStsPolicy } from '../../shared/routing/mta-sts-policy.ts';
import { parseStsRecord, type StsRecord } from '../../shared/routing/mta-sts-record.ts';

const id = (text: string): StsRecord => ({ kind: 'id', id: text });
const absent: StsRecord = { kind: 'absent' };
const invalid = (because: string): StsRecord => ({ kind: 'invalid', because });

const RECORDS: readonly (readonly [string, readonly (readonly string[])[], StsRecord])[] = [
  ['an ordinary record', [['v=STSv1; id=20160831085700Z;']], id('20160831085700Z')],
  ['no semicolon at the end', [['v=STSv1; id=1']], id('1')],
  ['no blanks', [['v=STSv1;id=1;']], id('1')],
  ['tabs and blanks around the delimiter', [['v=STSv1;\t id=1 \t; ']], id('1')],
  ['strings that are joined without a blank', [['v=STS', 'v1; i', 'd=2026', '11']], id('202611')],
  ['an extension', [['v=STSv1; id=1; x.y-z_1=a/b:c']], id('1')],
  ['an extension before the id', [['v=STSv1; note=old; id=1']], id('1')],
  ['two ids, of which the first counts', [['v=STSv1; id=1; id=2']], id('1')],
  [
    '32 characters',
    [['v=STSv1; id=abcdefghijklmnopqrstuvwxyzABCDEF']],
    id('abcdefghijklmnopqrstuvwxyzABCDEF'),
  ],
  ['records of others beside it', [['v=spf1 -all'], ['v=STSv1; id=1;'], ['v=STSv1x; id=2']], id('1')],
  ['none at all', [], absent],
  ['only records of others', [['v=spf1 -all'], ['google-site-verification=1']], absent],
  ['another version', [['v=STSv2; id=1']], absent],
  ['another case', [['V=stsv1; id=1']], absent],
  ['a blank in front', [[' v=STSv1; id=1']], absent],
  ['a blank before the first semicolon', [['v=STSv1 ; id=1']], absent],
  ['the id in front', [['id=1; v=STSv1']], absent],
  ['two records', [['v=STSv1; id=1'], ['v=STSv1; id=1']], invalid('2 records')],
  ['no id', [['v=STSv1;']], invalid('no id')],
  ['an empty id', [['v=STSv1; id=;']], invalid('field "id="')],
  [
    '33 characters',
    [['v=STSv1; id=abcdefghijklmnopqrstuvwxyzABCDEFG']],
    invalid('id "abcdefghijklmnopqrstuvwxyzABCDEFG"'),
  ],
  ['a dash in the id', [['v=STSv1; id=2026-11-23']], invalid('id "2026-11-23"')],
  ['blanks around the equals sign', [['v=STSv1; id = 1']], invalid('field "id = 1"')],
  ['an empty field', [['v=STSv1;; id=1']], invalid('field ""')],
  ['a word that is no field', [['v=STSv1; enforce; id=1']], invalid('field "enforce"')],
];

for (const [title, records, expected] of RECORDS) {
  test(`a TXT record with ${title} is read as ${expected.kind}`, () => {
    assert.deepEqual(parseStsRecord(records), expected);
  });
}

const ORDINARY = 'version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n';

test('a policy says its mode, its hosts, its life and its lines', () => {
  assert.deepEqual(parseStsPolicy(ORDINARY), {
    kind: 'policy',
    policy: {
      mode: 'enforce',
      mx: ['mail.example.com', '*.example.net'],
      maxAgeSeconds: 604_800,
      lines: [
        'version: STSv1',
        'mode: enforce',
        'mx: mail.example.com',
        'mx: *.example.net',
        'max_age: 604800',
      ],
    },
  });
});

test('its kept lines are a policy that says the same', () => {
  const first = parseStsPolicy(ORDINARY.replace('mode', 'note: x\r\nmode'));
  assert.ok(first.kind === 'policy');
  assert.deepEqual(parseStsPolicy(first.policy.lines.join('\n')), parseStsPolicy(ORDINARY));
});

const EQUAL_TO_ORDINARY: readonly (readonly [string, string])[] = [
  ['CRLF', ORDINARY.replaceAll('\n', '\r\n')],
  ['both line ends', ORDINARY.replace('\n', '\r\n')],
  ['no line end at the end', ORDINARY.trimEnd()],
  ['empty lines', `\n${ORDINARY}\n\n`],
  ['blanks at line ends', ORDINARY.replaceAll('\n', ' \t\n')],
  ['unknown fields', `note: hello, wor\u00f6ld\n${ORDINARY}x-y.z_1:\n`],
  ['a second mode', `${ORDINARY}mode: none\n`],
  ['a second version', `${ORDINARY}version: STSv2\n`],
  ['a second max_age', `${ORDINARY}max_age: nonsense\n`],
];

for (const [title, text] of EQUAL_TO_ORDINARY) {
  test(`a policy with ${title} says the same`, () => {
    assert.deepEqual(parseStsPolicy(text), parseStsPolicy(ORDINARY));
  });
}

const VALUES: readonly (readonly [string, string, string, number, readonly string[]])[] = [
  [
    'fields in another order',
    'mx: a.example\nmax_age: 0\nmode: testing\nversion: STSv1',
    'testing',
    0,
    ['a.example'],
  ],
  ['no blank after the colon', 'version:STSv1\nmode:none\nmax_age:86400', 'none', 86_400, []],
  ['the longest life', 'version: STSv1\nmode: none\nmax_age: 31557600', 'none', 31_557_600, []],
  ['a longer life than a year', 'version: STSv1\nmode: none\nmax_age: 9999999999', 'none', 31_557_600, []],
  [
    'hosts in capitals, with a dot',
    'version: STSv1\nmode: none\nmax_age: 1\nmx: MX.Example.NET.',
    'none',
    1,
    ['mx.example.net'],
  ],
];

for (const [title, text, mode, maxAgeSeconds, mx] of VALUES) {
  test(`a policy with ${title} is read`, () => {
    const parsed = parseStsPolicy(text);
    assert.ok(parsed.kind === 'policy');
    assert.deepEqual(
      [parsed.policy.mode, parsed.policy.maxAgeSeconds, parsed.policy.mx],
      [mode, maxAgeSeconds, mx],
    );
  });
}

const without = (line: string) => ORDINARY.replace(`${line}\n`, '');
const INVALID: readonly (readonly [string, string, string])[] = [
  ['nothing in it', '', 'version is not STSv1'],
  ['no version', without('version: STSv1'), 'version is not STSv1'],
  ['another version', ORDINARY.replace('STSv1', 'STSv2'), 'version is not STSv1'],
  ['a version in other letters', ORDINARY.replace('version', 'Version'), 'version is not STSv1'],
  ['no mode', without('mode: enforce'), 'mode ""'],
  ['an unknown mode', ORDINARY.replace('enforce', 'report'), 'mode "report"'],
  ['a mode in capitals', ORDINARY.replace('enforce', 'ENFORCE'), 'mode "ENFORCE"'],
  ['no life', without('max_age: 604800'), 'max_age ""'],
  ['a negative life', ORDINARY.replace('604800', '-1'), 'max_age "-1"'],
  ['a life in words', ORDINARY.replace('604800', '1 week'), 'max_age "1 week"'],
  ['a life of eleven digits', ORDINARY.replace('604800', '00000604800'), 'max_age "00000604800"'],
  ['no host', 'version: STSv1\nmode: testing\nmax_age: 1', 'no mx'],
  ['an empty host', ORDINARY.replace('mail.example.com', ''), 'mx ""'],
  ['a lone asterisk', ORDINARY.replace('*.example.net', '*'), 'mx "*"'],
  [
    'an asterisk in the middle',
    ORDINARY.replace('*.example.net', 'mx.*.example.net'),
    'mx "mx.*.example.net"',
  ],
  ['part of a label left open', ORDINARY.replace('*.example.net', 'mx*.example.net'), 'mx "mx*.example.net"'],
  ['an address', ORDINARY.replace('mail.example.com', '[192.0.2.1]'), 'mx "[192.0.2.1]"'],
  [
    'two hosts in a line',
    ORDINARY.replace('mail.example.com', 'a.example, b.example'),
    'mx "a.example, b.example"',
  ],
  ['a line that is no field', `${ORDINARY}<html>\n`, 'line "<html>"'],
  ['a blank before the colon', ORDINARY.replace('mode:', 'mode :'), 'line "mode : enforce"'],
  ['a mark of byte order', `\ufeff${ORDINARY}`, 'line "\ufeffversion: STSv1"'],
  ['a lone carriage return', ORDINARY.replace('\n', '\r'), 'line "version: STSv1\rmode: enforce"'],
];

for (const [title, text, because] of INVALID) {
  test(`a policy with ${title} is invalid`, () => {
    assert.deepEqual(parseStsPolicy(text), { kind: 'invalid', because });
  });
}

const HOSTS: readonly (readonly [string, string, boolean])[] = [
  ['mail.example.com', 'mail.example.com', true],
  ['mail.example.com', 'MAIL.Example.COM.', true],
  ['mail.example.com', 'mail2.example.com', false],
  ['mail.example.com', 'a.mail.example.com', false],
  ['*.example.com', 'mail.example.com', true],
  ['*.example.com', 'example.com', false],
  ['*.example.com', 'a.mail.example.com', false],
  ['*.example.com', 'mailexample.com', false],
  ['*.example.com', '.example.com', false],
  ['*.com', 'example.com', true],
  ['*.com', 'com', false],
  ['xn--bcher-kva.example', 'b\u00fccher.example', true],
  ['mail.example.com', '', false],
  ['mx_1.example.com', 'mx_1.example.com', true],
  ['*.example.com', '192.0.2.1', false],
];

for (const [pattern, host, expected] of HOSTS) {
  test(`${pattern} ${expected ? 'allows' : 'does not allow'} the host "${host}"`, () => {
    assert.equal(allowsHost([pattern], host), expected);
  });
}

test('whatever a policy host or a name server says is read, and what is kept of a policy reads as the policy', () => {
  const line = fc.oneof(
    fc.constantFrom(
      'version: STSv1',
      'mode: enforce',
      'mode:none ',
      'mx: *.A.example',
      'mx: a',
      'max_age: 7',
      '',
    ),
    fc.string({ unit: 'binary' }),
  );
  const text = fc.tuple(fc.array(line), fc.constantFrom('\n', '\r\n')).map(([lines, end]) => lines.join(end));
  fc.assert(
    fc.property(text, fc.array(fc.array(fc.string({ unit: 'binary' }))), (said, records) => {
      parseStsRecord(records);
      const parsed = parseStsPolicy(said);
      if (parsed.kind === 'policy') assert.deepEqual(parseStsPolicy(parsed.policy.lines.join('\n')), parsed);
      allowsHost(['*.a.example', said], said);
    }),
    { numRuns: 500 },
  );
});
