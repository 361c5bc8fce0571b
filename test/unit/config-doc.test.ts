// The page on configuration is the option table, put into words: it is made anew whenever a row changes, and its
// examples are configurations.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { configurationPage } from '../../scripts/configuration-page.ts';
import { evaluate } from '../../shared/config/evaluate.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS, type Option } from '../../shared/config/options.ts';

const PAGE = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/^```\n([^`]+)```$/gm)].map(([, text = '']) => text);

test('the page on configuration is what the option table says now', () => {
  assert.ok(PAGE === configurationPage(), 'docs/configuration.md is stale: run npm run docs');
});

test('the page has a row for each option, and says what it means', () => {
  for (const { name, meaning } of Object.values<Option<unknown>>(OPTIONS)) {
    const row = PAGE.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
    assert.ok(row?.includes(meaning.replaceAll('|', '\\|')), name);
    assert.match(meaning, /\.$/, name);
  }
});

test('the page says where a default is not that of Momentum, and why', () => {
  const [, section = ''] = PAGE.split('## Where defaults differ');
  assert.match(
    section,
    /^\| `Retry_Interval` \| `300` s \| 1200 \| This mail was deferred before it came\. \|$/m,
  );
  assert.doesNotMatch(section.split('## ')[0] ?? '', /`Connect_Timeout` \| `300`|`Body_Timeout`/);
});

test('the examples of the page are read without a fault or a warning', () => {
  const [client = '', faulty = '', scopes = ''] = EXAMPLES;
  assert.match(faulty, /^main\.conf:3:3: /);
  for (const text of [client, scopes]) {
    const result = loadConfiguration([{ path: 'page', text }]);
    assert.ok(result.ok && result.warnings.length === 0, text);
  }
});

test('the fault that the page shows is the one that is told', () => {
  const text =
    'Domain xfer.test {\n  Delivery_Method = "delay_xfer"\n  Rutes = ( "xfer://10.10.10.10?port=8080" )\n}\n';
  const result = loadConfiguration([{ path: 'main.conf', text }]);
  assert.ok(!result.ok);
  assert.equal(`${result.faults.map(formatFault).join('\n')}\n`, EXAMPLES[1]);
});

test('the scopes of the page count in the order that it says', () => {
  const result = loadConfiguration([{ path: 'page', text: EXAMPLES[2] ?? '' }]);
  assert.ok(result.ok);
  const connections = (domain: string, binding?: string): number =>
    evaluate(result.configuration, OPTIONS.Max_Outbound_Connections, {
      domain,
      ...(binding !== undefined && { binding }),
    });
  assert.deepEqual(
    [connections('gmail.com'), connections('gmail.com', 'default'), connections('a.example', 'default')],
    [20, 5, 32],
  );
});
