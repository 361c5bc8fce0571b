// The settings that a page for operators shows, so that a test runs them as they stand there: every block of code that
// begins with a comment naming where its lines belong. A page names a file (`# /etc/postfix/main.cf`) or a section of
// one (`# begin routers`); a block may have several such parts.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The lines that the page has for a place; fails when it has none there. */
export type Documented = (place: string) => string;

/** `page` is under docs/; lines of later blocks come behind those of earlier ones. */
export function documentedSettings(page: string, places: readonly string[]): Documented {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const settings = new Map<string, string>();
  for (const [, block = ''] of text.matchAll(/^```\w*\n(#.*?)^```$/gms)) {
    let place: string | undefined;
    for (const line of block.split('\n')) {
      const named = places.find((each) => line === `# ${each}` || line.startsWith(`# ${each}, `));
      place = named ?? place;
      if (named === undefined && place !== undefined) {
        settings.set(place, `${settings.get(place) ?? ''}${line}\n`);
      }
    }
  }
  return (place) => {
    const lines = settings.get(place);
    assert.ok(lines !== undefined, `docs/${page} has settings for ${place}`);
    return lines;
  };
}
