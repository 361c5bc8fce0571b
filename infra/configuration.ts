// The configuration that goes into the functions' assets: read and checked at synth, carried as it is written, with
// what it includes and the files that its options name. Returns faults as lines; throws nothing.

import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Configuration } from '../shared/config/configuration.ts';
import { deliverySettingsWritten } from '../shared/config/named-files.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { type Faults, readReceivingFiles } from '../shared/files/configuration-files.ts';

export interface ConfigurationBundle {
  /** The main file's name within the bundle. */
  readonly main: string;
  /** Text by path, relative to the main file's folder. */
  readonly texts: ReadonlyMap<string, string>;
  /** What has no effect, one line each. */
  readonly warnings: readonly string[];
}

export function readConfigurationBundle(
  file: string,
): { readonly ok: true; readonly bundle: ConfigurationBundle } | Faults {
  const main = resolve(file);
  const read = readReceivingFiles([main]);
  if (!read.ok) return read;
  const found = [...read.sources.map(({ path, text }) => [path, text] as const), ...read.named];
  const texts = new Map(found.map(([path, text]) => [relative(dirname(main), path), text]));
  const outside = [...texts.keys()].filter((path) => path.startsWith('..') || isAbsolute(path));
  if (outside.length > 0) {
    const faults = outside.map(
      (path) => `${path} is outside of the folder of ${file}: put it there, so that it can be deployed`,
    );
    return { ok: false, faults };
  }
  const warnings = [...read.warnings, ...idleHere(read.configuration)];
  return { ok: true, bundle: { main: basename(main), texts, warnings } };
}

/** What has its effect on a machine of one's own alone. */
function idleHere(configuration: Configuration): readonly string[] {
  return deliverySettingsWritten(configuration).flatMap((settings) => {
    const setting = settings.get(OPTIONS.Bind_Address.name);
    if (setting === undefined) return [];
    const { file, line } = setting.place;
    return [`${file}:${line}: Bind_Address has no effect on AWS: connections leave by the NAT gateway`];
  });
}

/** Writes the files below `folder`, which must exist. */
export function writeConfiguration({ texts }: ConfigurationBundle, folder: string): void {
  for (const [path, text] of texts) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}
