// Whoever is woken by an alarm is sent to a heading that exists.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { resources, synthesized } from './synthesized.ts';

test('every alarm says what is wrong and names a heading of docs/aws.md', () => {
  const headings = readFileSync('docs/aws.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('#'))
    .map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
  const alarms = resources(synthesized(), 'AWS::CloudWatch::Alarm');
  assert.ok(alarms.size > 0);
  for (const [id, alarm] of alarms) {
    const [, heading] =
      /^[A-Z].*\. What to do: docs\/aws\.md#([a-z0-9-]+)$/.exec(String(alarm['AlarmDescription'])) ?? [];
    assert.ok(heading !== undefined && headings.includes(heading), `${id}: no heading ${heading}`);
  }
});
