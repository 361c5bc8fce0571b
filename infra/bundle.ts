// Bundles a function's entry point into one minified ES module for Lambda, `index.mjs`, with everything in it:
// the SDK too, so that what was tested is what runs. Used by synth, by its tests and by the benchmark.
// Throws what esbuild throws: a message with file, line and column for each import or syntax that fails.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

export const FUNCTIONS = ['receive', 'deliver', 'release'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

export interface Bundle {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Absolute, so that the app runs from any folder. */
export function functionFolder(name: FunctionName): string {
  return join(ROOT, 'functions', name);
}

/** Bundles `functions/<name>/index.ts` into `folder`, which must exist. */
export function bundleFunction(name: FunctionName, folder: string): Bundle {
  const path = join(folder, 'index.mjs');
  buildSync({
    entryPoints: [join(functionFolder(name), 'index.ts')],
    outfile: path,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // The ES form of a package first: only that can be pruned to what is used.
    mainFields: ['module', 'main'],
    alias: { '@aws-sdk/credential-provider-node': './shared/aws/environment-credentials.ts' },
    minify: true,
    legalComments: 'none',
    // Packages in CommonJS call require() for Node's own modules, which an ES module does not have.
    banner: { js: REQUIRE_FOR_COMMONJS },
    logLevel: 'silent',
    absWorkingDir: ROOT,
  });
  return { path, sizeBytes: statSync(path).size };
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const REQUIRE_FOR_COMMONJS =
  "import{createRequire as commonJsRequire}from'node:module';const require=commonJsRequire(import.meta.url);";
