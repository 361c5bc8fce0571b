// Every dialogue script of test/dialogs/scripts, one test each under the script's own title.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parseScript } from './script-file.ts';
import { playScript } from './script-run.ts';

const FOLDER = join(import.meta.dirname, 'scripts');

suite('dialogue scripts', { concurrency: 8 }, () => {
  for (const name of readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).toSorted()) {
    if (!name.endsWith('.dialog')) continue;
    const script = parseScript(readFileSync(join(FOLDER, name), 'utf8'), name);
    test(script.title, () => playScript(script));
  }
});
