import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { parseJsonObject } from '../../shared/xfer/json-object.ts';
import { checkSidecar } from '../../sidecar/start.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../docs/senders/${name}`, import.meta.url), 'utf8');
}

/** The block of code that begins with this comment. */
function block(text: string, place: string): string {
  const found = [...text.matchAll(/^```\w*\n(.*?)^```$/gms)].find(([, code]) =>
    code?.startsWith(`# ${place}\n`),
  );
  return found?.[1] ?? '';
}

test('the configurations of the sidecar that the pages on senders show can be started', () => {
  for (const [name, kinds] of [
    ['haraka.md', ['smtp', 'http']],
    ['momentum.md', ['smtp']],
  ] as const) {
    const text = block(page(name), '/etc/delay-xfer/sidecar.conf');
    assert.match(text, /Domain xfer\.test/, name);
    const loaded = loadConfiguration([{ path: name, text }]);
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(formatFault).join('\n'));
    const plan = checkSidecar({ configuration: loaded.configuration, log: () => undefined });
    assert.deepEqual(
      plan.places.map(({ kind }) => kind),
      kinds,
      name,
    );
    const choice = plan.targets.choose('a@example.net');
    assert.equal(
      choice.kind === 'target' && `${choice.mode} ${choice.target.domain}`,
      'delayed xfer.test',
      name,
    );
  }
});

test('the JSON body that the page on Momentum shows has the fields of XFER/1', () => {
  const json = /^```json\n(.*?)\n```$/ms.exec(page('momentum.md'))?.[1] ?? '';
  const parsed = parseJsonObject(Buffer.from(json));
  assert.deepEqual(parsed.ok && Object.keys(parsed.object), [
    'id',
    'sender',
    'recipients',
    'attempts',
    'meta',
    'contentBase64',
  ]);
});
