// The licences of the packages that a bundle holds, with their texts, as one document. Throws for a package that has
// neither a licence file nor a licence of the list below: it must not be shipped unread.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What may stand in a package.json without a text beside it: their texts are known, and follow at the end. */
const KNOWN = ['Apache-2.0'];

interface Licensed {
  readonly name: string;
  readonly licence: string;
  readonly text: string | undefined;
}

/** `inputs`: the files of a bundle, from `root`. */
export function licencesOf(inputs: Iterable<string>, root: string): string {
  const folders = new Set([...inputs].flatMap((input) => packageFolder(input) ?? []));
  const packages = [...folders].map((folder) => readPackage(join(root, folder)));
  // Many packages share one text, which then stands once.
  const byText = Map.groupBy(
    packages,
    ({ licence, text }) => `License: ${licence}\n\n${text ?? SAME_AS_OURS}`,
  );
  const sections = [...byText].map(([text, sharing]) => {
    return `${'='.repeat(78)}\n${sharing
      .map(({ name }) => `${name}\n`)
      .sort()
      .join('')}\n${text}\n`;
  });
  return `The bundled programs hold these packages.\n\n${sections.join('\n')}`;
}

const SAME_AS_OURS = 'The text of this license is that of LICENSE.';

/** `node_modules/a/node_modules/@b/c` of a file below it; undefined for our own. */
function packageFolder(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

function readPackage(folder: string): Licensed {
  const described: { name: string; version: string; license?: string } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  );
  const name = `${described.name} ${described.version}`;
  const licence = described.license ?? '';
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  if (file === undefined && !KNOWN.includes(licence)) throw new Error(`${name} has no text of its license`);
  const text = file === undefined ? undefined : readFileSync(join(folder, file), 'utf8').trim();
  return { name, licence, text };
}
