import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Ending, NoticeCode } from '../../sidecar/log.ts';

const DOCUMENT = readFileSync(new URL('../../docs/sidecar.md', import.meta.url), 'utf8');

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
    'memory-full': true,
    'auth-failed': true,
    'withdrawal-unconfirmed': true,
    'double-possible': true,
    'delivered-unheard': true,
    'policy-failed': true,
  };
  for (const word of [...Object.keys(endings), ...Object.keys(codes)])
    assert.ok(DOCUMENT.includes(`\`${word}\``), word);
});
