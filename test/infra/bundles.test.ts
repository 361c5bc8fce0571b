// The bundles as they are deployed: each loads alone, outside of the project and its packages, exports its
// handler, and stays small, since size is load time and load time is what a cold start waits for.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { FUNCTIONS } from '../../infra/bundle.ts';
import { assembled, object, only, type Properties } from './synthesized.ts';

// Most of it is the SDK; the configuration language is in deliver whole, with the words of its faults and options.
const MAX_BUNDLE_BYTES = 800 * 1_024;

const { folder, template } = assembled();

for (const name of FUNCTIONS) {
  test(`the bundle of ${name} loads alone and exports its handler`, (t) => {
    const properties = only(template, 'AWS::Lambda::Function', `${name[0]?.toUpperCase()}${name.slice(1)}`);
    const bundle = assetOf(folder, properties);
    assert.deepEqual(readdirSync(bundle), ['index.mjs']);

    const sizeBytes = statSync(join(bundle, 'index.mjs')).size;
    const variables = Object.keys(object(object(properties['Environment'])['Variables']));
    const { type, version, loadMs } = load(bundle, variables);
    assert.equal(type, 'function');
    assert.match(version, /^v24\./);
    assert.ok(sizeBytes <= MAX_BUNDLE_BYTES, `${sizeBytes} bytes, of at most ${MAX_BUNDLE_BYTES}`);
    t.diagnostic(`${name}: ${Math.round(sizeBytes / 1_024)} KB, loaded in ${loadMs} ms`);
  });
}

test('a configuration is deployed beside the code that reads it, as it is written', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-configured-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const text = 'Message_Expiration = 172800\n';
  writeFileSync(join(folder, 'mine.conf'), text);
  const configured = assembled({ configuration: join(folder, 'mine.conf') });
  for (const name of ['Receive', 'Deliver']) {
    const properties = only(configured.template, 'AWS::Lambda::Function', name);
    const bundle = assetOf(configured.folder, properties);
    assert.equal(readFileSync(join(bundle, 'configuration', 'mine.conf'), 'utf8'), text);
    const variables = object(object(properties['Environment'])['Variables']);
    assert.equal(variables['CONFIGURATION_FILE'], 'configuration/mine.conf');
    const { type } = load(bundle, Object.keys(variables), {
      CONFIGURATION_FILE: 'configuration/mine.conf',
      LAMBDA_TASK_ROOT: bundle,
    });
    assert.equal(type, 'function');
  }
});

function assetOf(assembly: string, properties: Properties): string {
  const key = String(object(properties['Code'])['S3Key']);
  return join(assembly, `asset.${key.replace('.zip', '')}`);
}

/** In a process of its own, with the function's variables and nothing else of ours. */
function load(
  bundle: string,
  variables: readonly string[],
  more: Readonly<Record<string, string>> = {},
): { type: string; version: string; loadMs: number } {
  const program = `
    const start = performance.now();
    const { handler } = await import('./index.mjs');
    const loadMs = Math.round(performance.now() - start);
    console.log(JSON.stringify({ type: typeof handler, version: process.version, loadMs }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: bundle,
    encoding: 'utf8',
    env: {
      AWS_REGION: 'eu-west-1',
      ...Object.fromEntries(variables.map((name) => [name, EXAMPLES[name] ?? name])),
      ...more,
    },
  });
  return JSON.parse(output);
}

/** Where a function parses a variable, a value that it takes. */
const EXAMPLES: Readonly<Record<string, string>> = {
  AUTHENTICATION: 'iam',
  TIMERS_QUEUE_URL: 'https://sqs.eu-west-1.amazonaws.com/111122223333/timers',
  TRACE_HOST: 'xfer.example.com',
  EHLO_HOSTNAME: 'out.example.com',
};
