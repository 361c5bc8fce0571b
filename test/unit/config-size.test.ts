// Configurations that a program wrote: tens of thousands of Domains, chains of thousands. Bounds of time are wide,
// since what is looked for is work that grows with the square of the size.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../../shared/config/evaluate.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import { checkSending } from '../../shared/config/sending.ts';
import { readTargets, type TargetsResult } from '../../sidecar/routing/targets.ts';

const RECEIVER = 'Delivery_Method = "delay_xfer"  Routes = "xfer://192.0.2.1"  Max_Retries = "none"';
const TARGET = `Domain x.test { ${RECEIVER} Delayed_Reroute_Domain = "disabled" }`;

function domains(count: number, inside: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `Domain d${index}.test { ${inside(index)} }\n`).join('');
}

function read(text: string): { readonly targets: TargetsResult; readonly seconds: number } {
  const start = performance.now();
  const loaded = loadConfiguration([{ path: 'a.conf', text }]);
  assert.ok(loaded.ok);
  assert.deepEqual(checkSending(loaded.configuration).faults, []);
  const targets = readTargets(loaded.configuration);
  return { targets, seconds: (performance.now() - start) / 1_000 };
}

test('forty thousand Domains are read in seconds, opened again as well, and each keeps its own value', () => {
  const text = `${domains(40_000, (index) => `Message_Expiration = ${index + 1_000}`)}${domains(40_000, () => 'TLS = no')}`;
  const start = performance.now();
  const loaded = loadConfiguration([{ path: 'a.conf', text }]);
  assert.ok(loaded.ok);
  const values = Array.from({ length: 40_000 }, (_, index) =>
    evaluate(loaded.configuration, OPTIONS.Message_Expiration, { domain: `d${index}.test` }),
  );
  assert.ok(values.every((value, index) => value === index + 1_000));
  assert.ok(performance.now() - start < 10_000);
  assert.equal(loaded.configuration.domains.length, 40_000);
});

test('a chain of five thousand reroutes is followed to its end in seconds', () => {
  const chain = domains(5_000, (index) => `Reroute_Domain = ${index < 4_999 ? `d${index + 1}` : 'x'}.test`);
  const { targets, seconds } = read(`${TARGET}\n${chain}`);
  assert.ok(targets.ok);
  const choice = targets.targets.choose('joe@d0.test');
  assert.equal(choice.kind === 'target' && choice.target.domain, 'x.test');
  assert.ok(seconds < 10, String(seconds));
});

test('so is a chain of five thousand receivers that stand in for each other, however deep', () => {
  const chain = domains(
    5_000,
    (index) => `${RECEIVER} Delayed_Reroute_Domain = ${index < 4_999 ? `d${index + 1}` : 'x'}.test`,
  );
  const { targets, seconds } = read(`${TARGET}\n${chain}`);
  assert.ok(targets.ok);
  assert.equal(targets.targets.all.length, 5_001);
  assert.ok(seconds < 10, String(seconds));
});

test('a circle of five thousand is told once', () => {
  const { targets, seconds } = read(
    domains(5_000, (index) => `Reroute_Domain = d${(index + 1) % 5_000}.test`),
  );
  assert.ok(!targets.ok);
  assert.equal(targets.faults.filter(({ message }) => message.includes('in a circle')).length, 1);
  assert.ok(seconds < 10, String(seconds));
});
