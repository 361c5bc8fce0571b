import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OPTIONS, type Option } from '../../shared/config/options.ts';
import type { Ending, NoticeCode } from '../../sidecar/log.ts';

const DOCUMENT = readFileSync(new URL('../../docs/sidecar.md', import.meta.url), 'utf8');

/** First and second cell of every row of the table below a heading. */
function rows(heading: string): (readonly [string, string])[] {
  const section = DOCUMENT.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| `(\w+)`[^|]*\| ([^|]+) \|/gm)].map(([, first = '', second = '']) => [
    first,
    second,
  ]);
}

test('the page on the sidecar tells every option of the sending side with its default', () => {
  const told = new Map(rows('Options'));
  const sending = Object.values<Option<unknown>>(OPTIONS).filter(
    (option) => option.side === 'sending' || ['Routes', 'Relay_Hosts', 'EHLO_Hostname'].includes(option.name),
  );
  for (const option of sending) {
    const text = told.get(option.name);
    assert.ok(text !== undefined, `${option.name} is not told`);
    const unit = option.unit === 'seconds' ? ' s' : option.unit === 'milliseconds' ? ' ms' : '';
    const shown = text.replaceAll('`', '');
    const nothing =
      option.default === undefined || (Array.isArray(option.default) && option.default.length === 0);
    if (nothing) assert.match(shown, /^(none|the )/, option.name);
    else assert.equal(shown, `${String(option.default)}${unit}`, option.name);
  }
});

test('the page on the sidecar tells every verdict and every notice', () => {
  const endings: Record<Ending, true> = {
    accepted: true,
    duplicate: true,
    refused: true,
    'no-route': true,
    untaken: true,
    'in-doubt': true,
  };
  const codes: Record<NoticeCode, true> = {
    listening: true,
    stopping: true,
    stopped: true,
    configuration: true,
    reloaded: true,
    'reload-refused': true,
    'service-manager': true,
    'route-down': true,
    'route-up': true,
    'receiver-refuses-us': true,
    'request-faulty': true,
    'cannot-send': true,
    'content-not-kept': true,
    'withdrawal-unconfirmed': true,
    'double-possible': true,
    'delivered-unheard': true,
    'policy-failed': true,
  };
  for (const word of [...Object.keys(endings), ...Object.keys(codes)])
    assert.ok(DOCUMENT.includes(`\`${word}\``), word);
});
