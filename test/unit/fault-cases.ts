// The table of faulty configurations, test/unit/faults/*.cases: what is written, and what is told of it, word for
// word. A case begins with `=== what is wrong`, its files with `--- name.conf`, the report with `--- told`. Marks
// behind the title in brackets: [crlf], [bom], [escapes] (\xNN stands for an octet, \* for what follows it a
// thousand times), [sending] and [receiving] (as that side checks it, with its warnings).

import { readdirSync, readFileSync } from 'node:fs';
import { type Fault, formatFault } from '../../shared/config/fault.ts';
import type { SourceFile } from '../../shared/config/lexer.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { checkReceiving } from '../../shared/config/receiving.ts';
import { checkSending } from '../../shared/config/sending.ts';

export interface FaultCase {
  readonly title: string;
  readonly marks: readonly string[];
  /** The first one is read; it may include the others. */
  readonly files: readonly SourceFile[];
  readonly told: string;
}

const FOLDER = new URL('faults/', import.meta.url);

export function caseFiles(): readonly string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.cases'))
    .sort();
}

export function readCases(name: string): readonly FaultCase[] {
  return readFileSync(new URL(name, FOLDER), 'utf8').split(/^=== /m).slice(1).map(readCase);
}

/** Faults as they are printed; of a configuration without faults its warnings. */
export function reportOf({ files, marks }: FaultCase): string {
  const [first] = files;
  if (first === undefined) return '';
  const result = loadConfiguration([first], (path) => {
    const folder = files.filter((file) => file.path.startsWith(`${path}/`));
    return folder.length > 0 ? folder : files.find((file) => file.path === path);
  });
  if (!result.ok) return print(result.faults);
  const { configuration } = result;
  const checked = marks.includes('sending')
    ? checkSending(configuration)
    : marks.includes('receiving')
      ? checkReceiving(configuration)
      : { faults: [], warnings: [] };
  if (checked.faults.length > 0) return print(checked.faults);
  return print([...result.warnings, ...checked.warnings], 'warning ');
}

function print(faults: readonly Fault[], before = ''): string {
  return faults.map((fault) => `${before}${formatFault(fault)}\n`).join('');
}

function readCase(text: string): FaultCase {
  const end = text.indexOf('\n');
  const head = text.slice(0, end);
  const marks = [...head.matchAll(/\[(\w+)\]/g)].map(([, mark = '']) => mark);
  const sections = text
    .slice(end + 1)
    .split(/^--- /m)
    .filter((section) => section !== '')
    .map((section) => {
      const line = section.indexOf('\n');
      return { name: section.slice(0, line), body: section.slice(line + 1) };
    });
  const files = sections
    .filter(({ name }) => name !== 'told')
    .map(({ name, body }) => ({ path: name, text: written(body, marks) }));
  const told = sections.find(({ name }) => name === 'told')?.body ?? '';
  return { title: head.replaceAll(/ \[\w+\]/g, ''), marks, files, told: told.replace(/\n*$/, '\n') };
}

function written(body: string, marks: readonly string[]): string {
  let text = body;
  if (marks.includes('crlf')) text = text.replaceAll('\n', '\r\n');
  if (marks.includes('bom')) text = `\uFEFF${text}`;
  if (!marks.includes('escapes')) return text;
  const octets = Buffer.from(
    text.replaceAll(/\\\*(\\x..|.)/g, (_, what: string) => what.repeat(1_000)),
  ).toString('latin1');
  const raw = octets.replaceAll(/\\x(..)/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(raw, 'latin1').toString('utf8');
}
