// Makes what is shipped, in dist/: sidecar.mjs and delay-xfer.mjs, each one ES module with everything in it, and
// dist/package, the npm package with both, the documents, the systemd unit and the licences of what is bundled.
// `npm run build -- --pack` also makes the tarball. Prints each file with its size. Throws what esbuild throws.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { licencesOf } from './licences.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
const PACKAGE = join(DIST, 'package');

/** The oldest Node that what is shipped runs on; the packed programs are tested on it. */
export const LEAST_NODE = 20;

const BUNDLES = [
  { from: 'sidecar/main.ts', to: 'sidecar.mjs' },
  { from: 'cli/main.ts', to: 'delay-xfer.mjs' },
] as const;

/** From the root to the package; folders as a whole. */
const SHIPPED: readonly (readonly [string, string])[] = [
  ['LICENSE', 'LICENSE'],
  ['packaging/README.md', 'README.md'],
  ['packaging/delay-xfer-sidecar.service', 'packaging/delay-xfer-sidecar.service'],
  ['packaging/Dockerfile', 'packaging/Dockerfile'],
  ['packaging/haraka', 'packaging/haraka'],
  ['sidecar/examples', 'examples'],
  ['docs/install.md', 'docs/install.md'],
  ['docs/sidecar.md', 'docs/sidecar.md'],
  ['docs/configuration.md', 'docs/configuration.md'],
  ['docs/xfer-protocol.md', 'docs/xfer-protocol.md'],
  ['docs/senders', 'docs/senders'],
];

function main(args: readonly string[]): void {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(join(PACKAGE, 'dist'), { recursive: true });
  const root: RootPackage = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const bundled = new Set<string>();
  for (const { from, to } of BUNDLES) {
    const file = join(DIST, to);
    for (const input of bundle(from, file, root.version)) bundled.add(input);
    cpSync(file, join(PACKAGE, 'dist', to));
  }
  writeFileSync(join(PACKAGE, 'THIRD-PARTY-LICENSES'), licencesOf(bundled, ROOT));
  for (const [from, to] of SHIPPED) cpSync(join(ROOT, from), join(PACKAGE, to), { recursive: true });
  writeFileSync(join(PACKAGE, 'package.json'), `${JSON.stringify(manifest(root), null, 2)}\n`);
  if (args.includes('--pack')) {
    // npm chooses modes by itself; what may run is in `bin`.
    execFileSync('npm', ['pack', '--silent', '--pack-destination', DIST], { cwd: PACKAGE });
  }
  for (const file of filesIn(DIST)) {
    console.log(`${String(statSync(file).size).padStart(9)}  ${relative(ROOT, file)}`);
  }
}

interface RootPackage {
  readonly version: string;
  readonly license: string;
}

/** Answers the files that went in, from the root. */
function bundle(from: string, file: string, version: string): readonly string[] {
  const { metafile } = buildSync({
    entryPoints: [join(ROOT, from)],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: `node${LEAST_NODE}`,
    format: 'esm',
    mainFields: ['module', 'main'],
    // Names stay, so that a stack trace in a report can be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    inject: [join(ROOT, 'scripts/older-node.ts')],
    define: { BUILD_VERSION: JSON.stringify(version) },
    banner: { js: banner() },
    metafile: true,
    logLevel: 'warning',
    absWorkingDir: ROOT,
  });
  chmodSync(file, 0o755);
  checkForOlderNode(file);
  return Object.keys(metafile.inputs);
}

/** What ES2024 and Node 22 and 24 brought that older-node.ts does not bring along, as far as a name tells it. */
const NEWER_THAN_NODE =
  /\b(?:Object\.groupBy|Promise\.try|Array\.fromAsync|RegExp\.escape|Error\.isError|import\.meta\.(?:dirname|main)|validToDate|createZstd\w+|(?:new )?(?:Async)?DisposableStack|Uint8Array\.from(?:Base64|Hex))\b|\.(?:values|keys|entries)\(\)\.(?:map|filter|some|every|find|toArray|flatMap|reduce|take|drop)\(/;

function checkForOlderNode(file: string): void {
  const found = NEWER_THAN_NODE.exec(readFileSync(file, 'utf8'));
  if (found === null) return;
  throw new Error(`${relative(ROOT, file)} uses ${found[0]}, which Node ${LEAST_NODE} does not have`);
}

// Its first statement runs before anything of the bundle. Packages in CommonJS call require() for Node's own modules.
function banner(): string {
  return `#!/usr/bin/env node
if (Number(process.versions.node.split('.')[0]) < ${LEAST_NODE}) {
  process.stderr.write('delay-xfer needs Node ${LEAST_NODE} or later; this is ' + process.version + '\\n');
  process.exit(69);
}
import { createRequire as commonJsRequire } from 'node:module';
const require = commonJsRequire(import.meta.url);`;
}

function manifest({ version, license }: RootPackage): unknown {
  return {
    name: 'delay-xfer',
    version,
    description:
      'The sidecar that takes tempfailed mail off an MTA and hands it over by HTTP, and its command.',
    license,
    type: 'module',
    engines: { node: `>=${LEAST_NODE}` },
    bin: { 'delay-xfer': 'dist/delay-xfer.mjs', 'delay-xfer-sidecar': 'dist/sidecar.mjs' },
    files: readdirSync(PACKAGE).sort(),
  };
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

main(process.argv.slice(2));
