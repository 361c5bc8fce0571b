// The files that a configuration names: certificates (TLS_CA), rules (Reply_Classes). This folder reads no files:
// whoever loads the configuration reads those listed here, and hands their text to what wants it, by path.

import { X509Certificate } from 'node:crypto';
import type { Configuration, Setting, Settings } from './configuration.ts';
import type { Fault, Place } from './fault.ts';
import type { Option } from './option.ts';

export interface NamedFile {
  readonly option: Option<unknown>;
  /** A relative one begins where the configuration file is. */
  readonly path: string;
  readonly place: Place;
}

/** Every file that is named, in all scopes, in the order of the stanzas. */
export function namedFiles(configuration: Configuration): readonly NamedFile[] {
  return deliverySettingsWritten(configuration)
    .flatMap((settings) => [...settings.values()])
    .flatMap((setting) => {
      const path = setting.option.file === undefined ? undefined : pathWritten(setting);
      return path === undefined ? [] : [{ option: setting.option, path, place: setting.place }];
    });
}

/** What is written at the top, in Domains, Bindings and Binding_Groups, in the order of the stanzas. */
export function deliverySettingsWritten(configuration: Configuration): readonly Settings[] {
  const { bindings, groups, domains, global } = configuration;
  return [
    global,
    ...domains.map(({ settings }) => settings),
    ...[...groups, ...bindings].flatMap((scope) => [
      scope.settings,
      ...scope.domains.map(({ settings }) => settings),
    ]),
  ];
}

/** The path that a setting names, from the directory of its configuration file. */
export function pathWritten(setting: Setting | undefined): string | undefined {
  if (setting?.value.kind !== 'scalar') return undefined;
  const path = setting.value.text;
  const directory = /^.*\//.exec(setting.place.file)?.[0] ?? '';
  return path.startsWith('/') ? path : `${directory}${path}`;
}

/** What is wrong with the text of a TLS_CA file; undefined when it holds certificates and all can be read. */
export function certificatesFault({ option, path, place }: NamedFile, pem: string): Fault | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return { place, message: `${option.name}: ${path} holds no certificate in PEM` };
  const broken = blocks.findIndex((block) => !isCertificate(block)) + 1;
  if (broken === 0) return undefined;
  return { place, message: `${option.name}: certificate ${broken} of ${path} cannot be read` };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}
