// docs/smtp-conformance.md names a test for every requirement. What it names must exist, and what a dialogue script
// is about must be what its row says.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..');
const PAGE = readFileSync(join(ROOT, 'docs', 'smtp-conformance.md'), 'utf8');

interface Row {
  readonly line: number;
  readonly source: string;
  readonly tests: readonly { readonly title: string; readonly path: string }[];
}

const ROWS: readonly Row[] = PAGE.split('\n').flatMap((text, index) => {
  const cells = text.split(/(?<!\\)\|/).slice(1, -1);
  const isRow = text.startsWith('| ') && cells[0]?.trim() !== 'requirement';
  return isRow ? [rowOf(index + 1, cells)] : [];
});

function rowOf(line: number, cells: readonly string[]): Row {
  const [, source = '', , named = ''] = cells.map((cell) => cell.trim());
  assert.equal(cells.length, 4, `line ${line} has ${cells.length} cells`);
  const tests = named
    .split('<br>')
    .filter((link) => link !== '')
    .map((link) => {
      const [, title = '', path = ''] = /^\[(.*)\]\(\.\.\/([^)]*)\)$/.exec(link) ?? [];
      assert.notEqual(title, '', `line ${line}: ${link} is no link to a test`);
      return { title: title.replace(/\\([[\]|])/g, '$1'), path: normalize(path) };
    });
  return { line, source, tests };
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The first argument of every test of the file, as it is written, with its quotes. */
function writtenTitles(source: string): string[] {
  return [
    ...source.matchAll(/\b(?:test|it)\(\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)/g),
  ].map(([, literal = '']) => literal);
}

/** A title made from a template fits when what stands for its variables is written in the file as well. */
function isTitleOf(written: string, title: string, source: string): boolean {
  const text = written.slice(1, -1).replace(/\\(.)/g, '$1');
  if (!written.startsWith('`')) return text === title;
  const pattern = text
    .split(/\$\{[^}]*\}/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('(.+)');
  const values = new RegExp(`^${pattern}$`).exec(title)?.slice(1);
  return values?.every((value) => source.includes(value)) === true;
}

/** Each RFC with each of its sections: `RFC 5321 §3.1, §3.2` is two. */
function sectionsOf(source: string): Set<string> {
  const found = new Set<string>();
  let document = '';
  for (const [word, rfc, section] of source.matchAll(/(RFC \d+|CVE-\d+-\d+)|(§[\d.]+\d|§\d)/g)) {
    if (rfc !== undefined) document = rfc;
    found.add(section === undefined ? word : `${document} ${section}`);
  }
  return found;
}

test('the conformance page has a test for each of its rows, and each test exists', () => {
  const missing: string[] = [];
  for (const { line, tests } of ROWS) {
    if (tests.length === 0) missing.push(`line ${line} names no test`);
    for (const { title, path } of tests) {
      if (!existsSync(join(ROOT, path))) {
        missing.push(`line ${line}: ${path} does not exist`);
        continue;
      }
      const source = read(path);
      const isThere = path.endsWith('.dialog')
        ? source.startsWith(`Title: ${title}\n`)
        : writtenTitles(source).some((written) => isTitleOf(written, title, source));
      if (!isThere) missing.push(`line ${line}: ${path} has no test "${title}"`);
    }
  }
  assert.deepEqual(missing, []);
});

test('the conformance page has at least 80 rows, and some on every standard that it is about', () => {
  assert.ok(ROWS.length >= 80, `${ROWS.length} rows`);
  const covered = new Set(ROWS.flatMap(({ source }) => [...sectionsOf(source)]));
  const standards = [
    ...[5321, 1870, 2034, 2920, 3207, 3461, 3462, 3464, 6152, 6531, 6533, 7504, 7505, 8461, 8689].map(
      (number) => `RFC ${number}`,
    ),
    ...['CVE-2023-51764', 'CVE-2023-51765', 'CVE-2023-51766'],
  ];
  assert.deepEqual(
    standards.filter((standard) => !covered.has(standard)),
    [],
  );
});

test('every row of the conformance page names a section, or an advisory', () => {
  const vague = ROWS.filter(({ source }) => !/^(RFC \d+ §\d|RFC 1047$|CVE-)/.test(source));
  assert.deepEqual(
    vague.map(({ line, source }) => `line ${line}: ${source}`),
    [],
  );
});

test('every dialogue script stands on the conformance page, in a row about a section that it names itself', () => {
  const folder = join('test', 'dialogs', 'scripts');
  const faults: string[] = [];
  for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.dialog')) continue;
    const path = join(folder, name);
    const own = sectionsOf(/^Source: (.*)$/m.exec(read(path))?.[1] ?? '');
    const rows = ROWS.filter(({ tests }) => tests.some((named) => named.path === path));
    if (rows.length === 0) faults.push(`${path} has no row`);
    for (const { line, source } of rows) {
      const shared = [...sectionsOf(source)].filter((section) => own.has(section) && isPrecise(section));
      if (shared.length === 0) faults.push(`line ${line}: ${path} is not about ${source}`);
    }
  }
  assert.deepEqual(faults, []);
});

/** A section, or a document that is not told by sections here. */
function isPrecise(section: string): boolean {
  return section.includes('§') || section === 'RFC 1047' || section.startsWith('CVE');
}
