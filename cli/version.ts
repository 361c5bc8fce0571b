// The version of this program: put in by the build, read from package.json when run from source.

import { readFileSync } from 'node:fs';

declare const BUILD_VERSION: string | undefined;

export function version(): string {
  if (typeof BUILD_VERSION === 'string') return BUILD_VERSION;
  const found: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  if (typeof found === 'object' && found !== null && 'version' in found) return String(found.version);
  throw new Error('package.json has no version');
}
