// Runs before `npm start`, `npm test` and the like: installs when node_modules is missing or older than
// the lockfile, so that one command on a fresh machine is enough. Plain JavaScript without dependencies:
// the system's Node may be older than the one this project runs on (the `node` package supplies that).
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modifiedMs = (path) => (existsSync(root + path) ? statSync(root + path).mtimeMs : 0);

// npm writes this file last, so an interrupted install counts as missing.
if (modifiedMs('node_modules/.package-lock.json') < modifiedMs('package-lock.json')) {
  console.log('delay-xfer: installing dependencies (npm ci) ...');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('delay-xfer: npm ci failed; see its message above.');
    process.exit(status ?? 1);
  }
}
