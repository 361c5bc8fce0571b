// Writes docs/configuration.md: `npm run docs`.

import { writeFileSync } from 'node:fs';
import { configurationPage } from './configuration-page.ts';

const page = new URL('../docs/configuration.md', import.meta.url);
writeFileSync(page, configurationPage());
process.stdout.write('docs/configuration.md is written\n');
