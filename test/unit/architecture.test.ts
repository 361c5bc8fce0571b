// The house's own rules, read from its imports: domain code knows no SDK, socket, clock or randomness, adapters
// point inward, and only entry points make clients.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folders of pure domain code, and the files among adapters that are domain as well. */
const DOMAIN = [
  'shared/config',
  'shared/message',
  'shared/queue',
  'shared/records',
  'shared/report',
  'shared/xfer',
];

const ALLOWED_NODE = new Set([
  'node:buffer',
  'node:crypto',
  'node:stream',
  'node:url',
  'node:util',
  'node:zlib',
]);
// Of nodemailer only what composes MIME: it is given octets, and reads nothing by itself.
const ALLOWED_PACKAGES = new Set(['zod', 'zod/mini', 'ipaddr.js', 'nodemailer/lib/mime-node', 'smol-toml']);
const DOMAIN_CALLS = [
  /\bDate\.now\(/,
  /\bnew Date\(\)/,
  /\bMath\.random\(/,
  /\bprocess\./,
  /\bsetTimeout\(/,
  /\brandomBytes\(/,
];

test('domain code imports no SDK, no socket, no clock and no randomness', () => {
  const faults: string[] = [];
  for (const file of DOMAIN.flatMap((folder) => sources(folder))) {
    for (const specifier of importsOf(file)) {
      const target = targetOf(file, specifier);
      const fine =
        target === undefined
          ? ALLOWED_NODE.has(specifier) || ALLOWED_PACKAGES.has(specifier)
          : !/^(shared\/aws|functions|local|sidecar|infra|cli|bench)\//.test(target);
      if (!fine) faults.push(`${file} imports ${specifier}`);
    }
    const text = withoutComments(readFileSync(join(root, file), 'utf8'));
    for (const call of DOMAIN_CALLS) if (call.test(text)) faults.push(`${file} uses ${call.source}`);
  }
  assert.deepEqual(faults, []);
});

test('only entry points import other entry points, and shared code none', () => {
  const faults = sources('shared').flatMap((file) =>
    importsOf(file)
      .map((specifier) => targetOf(file, specifier))
      .filter((target) => target !== undefined && !target.startsWith('shared/'))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(faults, []);
});

test('handlers construct no clients', () => {
  const faults = sources('functions')
    .filter((file) => file.endsWith('handler.ts'))
    .filter((file) => /\bnew \w+Client\(/.test(readFileSync(join(root, file), 'utf8')));
  assert.deepEqual(faults, []);
});

test('no source file has over 400 lines', () => {
  const long = ['shared', 'functions', 'sidecar', 'local', 'infra', 'cli', 'bench', 'test', 'scripts']
    .flatMap((folder) => sources(folder))
    .filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 401);
  assert.deepEqual(long, []);
});

function sources(folder: string): readonly string[] {
  assert.ok(existsSync(join(root, folder)), `${folder} is a place of the house`);
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort();
}

function importsOf(file: string): readonly string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:\bfrom '([^'\n]+)';|^import '([^'\n]+)';)$|import\('([^']+)'\)/gm)].flatMap(
    (match) => match[1] ?? match[2] ?? match[3] ?? [],
  );
}

function targetOf(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.')
    ? relative(root, resolve(join(root, dirname(file)), specifier)).replaceAll('\\', '/')
    : undefined;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}
