// The lines about TLS in the log, and the TLS-RPT report (RFC 8460 §4.4) that can be built from a day of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import { createTlsResults, type TlsObservation } from '../../shared/records/tls-results.ts';

const ENFORCE = {
  type: 'sts',
  mode: 'enforce',
  id: '20261123',
  mx: ['*.mail.company-y.example'],
  lines: ['version: STSv1', 'mode: enforce', 'mx: *.mail.company-y.example', 'max_age: 86400'],
} as const;

const MX1 = { mxHost: 'mx1.mail.company-y.example', receivingIp: '203.0.113.56' };
const MX2 = { mxHost: 'mx2.mail.company-y.example', receivingIp: '2001:db8::56', sendingIp: '198.51.100.62' };
const COMPANY = { policyDomains: ['company-y.example'], policy: ENFORCE } as const;

const INVOCATIONS: readonly (readonly TlsObservation[])[] = [
  [
    { ...COMPANY, ...MX1, result: 'successful' },
    { ...COMPANY, ...MX1, result: 'successful' },
    { ...COMPANY, ...MX2, result: 'successful' },
    { ...COMPANY, ...MX1, result: 'certificate-expired', reason: 'CERT_HAS_EXPIRED' },
    { ...COMPANY, ...MX2, result: 'starttls-not-supported' },
    // A session that carried mail for two domains of one host.
    { ...COMPANY, policyDomains: ['company-y.example', 'company-z.example'], ...MX1, result: 'successful' },
  ],
  [
    { ...COMPANY, ...MX1, result: 'certificate-expired', reason: 'CERT_HAS_EXPIRED' },
    { ...COMPANY, ...MX1, result: 'successful' },
    {
      policyDomains: ['company-w.example'],
      ...MX1,
      result: 'sts-webpki-invalid',
      reason: 'CERT_HAS_EXPIRED: certificate has expired',
    },
  ],
];

test('an invocation writes one line for each domain, host, address and result, with the count', () => {
  const [first] = logLines();
  assert.deepEqual(first, {
    level: 'info',
    code: 'tls-results',
    message: 'TLS with mx1.mail.company-y.example for company-y.example: successful',
    detail: {
      'policy-domain': 'company-y.example',
      'policy-type': 'sts',
      'policy-string': ['version: STSv1', 'mode: enforce', 'mx: *.mail.company-y.example', 'max_age: 86400'],
      'mx-host': ['*.mail.company-y.example'],
      'result-type': 'successful',
      'receiving-mx-hostname': 'mx1.mail.company-y.example',
      'receiving-ip': '203.0.113.56',
      'session-count': 3,
    },
    timestamp: 1_795_341_600,
  });
  assert.deepEqual(
    logLines().map(({ level, detail }) => [
      level,
      detail['policy-domain'],
      detail['result-type'],
      detail['receiving-ip'],
      detail['session-count'],
    ]),
    [
      ['info', 'company-y.example', 'successful', '203.0.113.56', 3],
      ['info', 'company-y.example', 'successful', '2001:db8::56', 1],
      ['warn', 'company-y.example', 'certificate-expired', '203.0.113.56', 1],
      ['warn', 'company-y.example', 'starttls-not-supported', '2001:db8::56', 1],
      ['info', 'company-z.example', 'successful', '203.0.113.56', 1],
      ['warn', 'company-y.example', 'certificate-expired', '203.0.113.56', 1],
      ['info', 'company-y.example', 'successful', '203.0.113.56', 1],
      ['warn', 'company-w.example', 'sts-webpki-invalid', '203.0.113.56', 1],
    ],
  );
});

test('what was written is not written again', () => {
  const results = createTlsResults();
  const lines: string[] = [];
  const log = createJsonLog(
    (line) => lines.push(line),
    () => 0,
  );
  results.note({ ...COMPANY, ...MX1, result: 'successful' });
  results.flush(log);
  results.flush(log);
  assert.equal(lines.length, 1);
});

test('the lines of a day are enough for the policies of a TLS-RPT report', () => {
  const policy = {
    'policy-type': 'sts',
    'policy-string': ['version: STSv1', 'mode: enforce', 'mx: *.mail.company-y.example', 'max_age: 86400'],
    'policy-domain': 'company-y.example',
    'mx-host': ['*.mail.company-y.example'],
  };
  assert.deepEqual(reportPolicies(logLines()), [
    {
      policy,
      summary: { 'total-successful-session-count': 5, 'total-failure-session-count': 3 },
      'failure-details': [
        {
          'result-type': 'certificate-expired',
          'receiving-mx-hostname': 'mx1.mail.company-y.example',
          'receiving-ip': '203.0.113.56',
          'failure-reason-code': 'CERT_HAS_EXPIRED',
          'failed-session-count': 2,
        },
        {
          'result-type': 'starttls-not-supported',
          'receiving-mx-hostname': 'mx2.mail.company-y.example',
          'receiving-ip': '2001:db8::56',
          'sending-mta-ip': '198.51.100.62',
          'failed-session-count': 1,
        },
      ],
    },
    {
      policy: { ...policy, 'policy-domain': 'company-z.example' },
      summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 0 },
    },
    {
      policy: { 'policy-type': 'sts', 'policy-domain': 'company-w.example' },
      summary: { 'total-successful-session-count': 0, 'total-failure-session-count': 1 },
      'failure-details': [
        {
          'result-type': 'sts-webpki-invalid',
          'receiving-mx-hostname': 'mx1.mail.company-y.example',
          'receiving-ip': '203.0.113.56',
          'failure-reason-code': 'CERT_HAS_EXPIRED: certificate has expired',
          'failed-session-count': 1,
        },
      ],
    },
  ]);
});

interface Line {
  readonly level: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The log of two invocations, as it is read back. */
function logLines(): readonly Line[] {
  const written: string[] = [];
  const log = createJsonLog(
    (line) => written.push(line),
    () => 1_795_341_600_000,
  );
  for (const observations of INVOCATIONS) {
    const results = createTlsResults();
    for (const observation of observations) results.note(observation);
    results.flush(log);
  }
  return written.map((line) => JSON.parse(line));
}

/** RFC 8460 §4.4, `policies`: fields of a line go where their names say; counts of equal ones add up. */
function reportPolicies(lines: readonly Line[]): readonly object[] {
  const POLICY = ['policy-type', 'policy-string', 'policy-domain', 'mx-host'];
  const FAILURE = [
    'result-type',
    'receiving-mx-hostname',
    'receiving-ip',
    'sending-mta-ip',
    'failure-reason-code',
  ];
  const picked = (line: Line, names: readonly string[]) =>
    Object.fromEntries(names.flatMap((name) => (name in line.detail ? [[name, line.detail[name]]] : [])));
  const sessions = (some: readonly Line[]) =>
    some.reduce((sum, { detail }) => sum + Number(detail['session-count']), 0);
  const isGood = ({ detail }: Line) => detail['result-type'] === 'successful';
  const grouped = (some: readonly Line[], names: readonly string[]) =>
    [...Map.groupBy(some, (line) => JSON.stringify(picked(line, names)))].map(([key, group]) => ({
      fields: JSON.parse(key),
      group,
    }));

  return grouped(lines, POLICY).map(({ fields, group }) => {
    const failures = group.filter((line) => !isGood(line));
    const details = grouped(failures, FAILURE).map((failure) => ({
      ...failure.fields,
      'failed-session-count': sessions(failure.group),
    }));
    return {
      policy: fields,
      summary: {
        'total-successful-session-count': sessions(group.filter(isGood)),
        'total-failure-session-count': sessions(failures),
      },
      ...(details.length === 0 ? {} : { 'failure-details': details }),
    };
  });
}
