// One case of the configuration language: a drawn configuration that must be read as it was meant; one with a single
// slip, which must be told at its place and nowhere else; or garbage, of which every fault must lie where it says.

import type { Configuration, Settings } from '../../shared/config/configuration.ts';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { everyScope } from '../../shared/config/every-scope.ts';
import { type Fault, formatFault } from '../../shared/config/fault.ts';
import { type LoadResult, loadConfiguration } from '../../shared/config/load.ts';
import { isIgnoredOption } from '../../shared/config/momentum-names.ts';
import { OPTIONS_BY_NAME } from '../../shared/config/options.ts';
import { checkReceiving } from '../../shared/config/receiving.ts';
import { starred } from '../../shared/config/secrets.ts';
import { checkSending } from '../../shared/config/sending.ts';
import { type Entry, parseSyntax, type Value } from '../../shared/config/syntax.ts';
import { formatTraced, traceOptions } from '../../shared/config/trace.ts';
import { settingsWithoutEffect, sidesOf } from '../../shared/config/without-effect.ts';
import { drawConfiguration, type Laid, layOut, PASSWORD, type Piece } from './config-grammar.ts';
import { type Draw, drawOf } from './draw.ts';

export interface ConfigReport {
  readonly faults: readonly string[];
  readonly kind: string;
  readonly story: () => string;
}

/** Of a text of a few kilobytes; a slow machine that does a hundred things at once needs hundreds of milliseconds. */
const MOST_MS = 5_000;

export function configCase(seed: number, index: number): ConfigReport {
  const draw = drawOf(seed, index);
  const kind = draw.pick(['right', 'slip', 'slip', 'garbage', 'garbage'] as const);
  const faults: string[] = [];
  let text = '';
  try {
    const startedMs = performance.now();
    switch (kind) {
      case 'right':
        text = rightCase(draw, faults);
        break;
      case 'slip':
        text = slipCase(draw, faults);
        break;
      case 'garbage':
        text = garbageCase(draw, faults);
        break;
    }
    if (performance.now() - startedMs > MOST_MS) faults.push(`it took over ${MOST_MS} ms`);
  } catch (error) {
    faults.push(`threw ${error instanceof Error ? error.stack : String(error)}`);
  }
  return { faults, kind, story: () => JSON.stringify(text) };
}

function rightCase(draw: Draw, faults: string[]): string {
  const pieces = drawConfiguration(draw);
  const { text } = layOut(draw, pieces);
  const result = load(text);
  judge(text, result, faults);
  if (!result.ok) faults.push(`a fault in what is right: ${result.faults.map(formatFault).join('\n')}`);
  else judgeMeaning(pieces, result.configuration, faults);
  const again = outline(parseSyntax({ path: PATH, text: rewritten(text) }).entries);
  if (JSON.stringify(again) !== JSON.stringify(outline(parseSyntax({ path: PATH, text }).entries)))
    faults.push('written anew it reads otherwise');
  return text;
}

/** What is wrong, and where it must be told: at a piece, at or before it, or anywhere. */
interface Slip {
  readonly pieces: readonly Piece[];
  readonly at: number;
  readonly told: 'there alone' | 'at every Zebra' | 'there or before' | 'anywhere';
}

function slipCase(draw: Draw, faults: string[]): string {
  const pieces = drawConfiguration(draw);
  const slip = draw.chance(0.3) ? drawMisspellings(draw, pieces) : drawSlip(draw, pieces);
  const laid = layOut(draw, slip?.pieces ?? pieces);
  const result = load(laid.text);
  judge(laid.text, result, faults);
  if (slip === undefined) return laid.text;
  if (result.ok) faults.push(`a slip at piece ${slip.at} is not told`);
  else judgeSlip(laid, slip, result.faults, faults);
  return laid.text;
}

function judgeSlip(laid: Laid, { pieces, at, told }: Slip, found: readonly Fault[], faults: string[]): void {
  const text = laid.text.replace(/^\uFEFF/, '');
  const offset = laid.offsets[at] ?? text.length;
  const offsets = found.map((fault) => offsetOf(text, fault));
  const shown = found.map(formatFault).join('\n');
  switch (told) {
    case 'there alone':
      if (offsets.length !== 1 || offsets[0] !== offset) faults.push(`one fault at ${offset}, not: ${shown}`);
      break;
    case 'at every Zebra': {
      const zebras = pieces.flatMap((piece, index) => (piece.text === ZEBRA ? [laid.offsets[index]] : []));
      if (zebras.join() !== offsets.join()) faults.push(`faults at ${zebras.join()}, not: ${shown}`);
      break;
    }
    case 'there or before':
      if (!offsets.some((each) => each <= offset)) faults.push(`a fault up to ${offset}, not: ${shown}`);
      break;
    case 'anywhere':
      break;
  }
  if (shown.includes(PASSWORD)) faults.push(`a password is shown: ${shown}`);
}

const ZEBRA = 'Zebra';

function drawMisspellings(draw: Draw, pieces: readonly Piece[]): Slip | undefined {
  const spoilt = pieces.map((piece) =>
    piece.role === 'option' && piece.option?.secret !== true && mayBeSlip(piece) && draw.chance(0.3)
      ? { ...piece, text: ZEBRA }
      : piece,
  );
  const at = spoilt.findIndex(({ text }) => text === ZEBRA);
  return at < 0 ? undefined : { pieces: spoilt, at, told: 'at every Zebra' };
}

/** A script has options of its own, which nobody here knows. */
function mayBeSlip({ where }: Piece): boolean {
  return where.scope !== 'script';
}

function drawSlip(draw: Draw, pieces: readonly Piece[]): Slip | undefined {
  if (pieces.length === 0) return undefined;
  const at = draw.below(pieces.length);
  const piece = pieces[at];
  if (piece === undefined) return undefined;
  const replaced = (text: string): readonly Piece[] =>
    pieces.map((each, index) => (index === at ? { ...each, text } : each));
  const without = pieces.filter((_, index) => index !== at);
  switch (piece.role) {
    case 'option': {
      // A name that is nothing like that of a secret hides no password.
      const alike = [`${piece.text}zq`, piece.text.slice(1), `X_${piece.text}`];
      const text = draw.pick(piece.option?.secret ? alike : [...alike, ZEBRA]);
      if (!mayBeSlip(piece)) return undefined;
      const isKnown = OPTIONS_BY_NAME.has(text.toLowerCase()) || isIgnoredOption(text);
      return isKnown ? undefined : { pieces: replaced(text), at, told: 'there alone' };
    }
    case 'value':
    case 'item': {
      const wrong = WRONG.find((each) => piece.option?.type.read(scalarOf(each)).ok === false);
      if (wrong === undefined) return undefined;
      // Of a secret the name is shown.
      const place = piece.option?.secret ? at - 2 : at;
      return { pieces: replaced(wrong), at: place, told: 'there alone' };
    }
    case 'kind':
      return { pieces: replaced(`${piece.text}zq`), at, told: 'there alone' };
    case '{':
      return { pieces: without, at, told: 'there or before' };
    case '}':
      return { pieces: without, at, told: 'there or before' };
    case '=':
      return { pieces: without, at, told: 'there or before' };
    case '(':
    case ')':
      return { pieces: without, at, told: 'anywhere' };
    case ',':
    case 'name':
    case 'include':
      return undefined;
  }
}

/** At least one of them is wrong for every type that takes not just any text. */
const WRONG = ['\u2603 no', 'no such thing', '-1'];

function garbageCase(draw: Draw, faults: string[]): string {
  const { text: right } = layOut(draw, drawConfiguration(draw));
  let text = draw.chance(0.2) ? '' : right;
  for (let left = 1 + draw.below(6); left > 0; left -= 1) text = spoilt(draw, text);
  const other = draw.chance(0.3) ? spoilt(draw, right) : undefined;
  const result = loadConfiguration([{ path: PATH, text }], (path) =>
    path === 'other.conf' && other !== undefined ? { path, text: other } : undefined,
  );
  judge(text, result, faults, other);
  return text;
}

function spoilt(draw: Draw, text: string): string {
  const at = draw.below(text.length + 1);
  const length = draw.pick([1, 1, 5, 40]);
  const cut = `${text.slice(0, at)}${text.slice(at + length)}`;
  switch (draw.below(5)) {
    case 0:
      return cut;
    case 1:
      return `${text.slice(0, at)}${draw.pick(PIECES)}${text.slice(at)}`;
    case 2:
      return `${text.slice(0, at)}${text.slice(at, at + length)}${text.slice(at)}`;
    case 3:
      return `${cut.slice(0, draw.below(cut.length + 1))}${text.slice(at, at + length)}${cut.slice(at)}`;
    default:
      return `${text.slice(0, at)}${octets(draw)}${text.slice(at)}`;
  }
}

const PIECES = [
  '{',
  '}',
  '(',
  ')',
  '=',
  ',',
  ';',
  '"',
  "'",
  '#',
  '/*',
  '*/',
  '\\',
  '[',
  ']',
  '\n',
  '\r',
  '\0',
  '\x1b[2J',
  '\u200b',
  '\u202e',
  '“',
  '”',
  '😀',
  '\ud800',
  ' include "other.conf" ',
  ' include "x.conf" ',
  'HTTP_Basic_Auth = ',
  'Domain a.test {',
  'x'.repeat(300),
  '{'.repeat(300),
];

function octets(draw: Draw): string {
  return Buffer.from(Array.from({ length: 1 + draw.below(12) }, () => draw.below(256))).toString('utf8');
}

/** What holds of every reading: faults lie where they say, in order, each once, and what was read can be used. */
function judge(text: string, result: LoadResult, faults: string[], other = ''): void {
  const textOf = ({ place }: Fault): string => (place.file === PATH ? text : other);
  if (result.ok) {
    for (const warning of result.warnings) judgePlace(textOf(warning), warning, faults);
    useAll(result.configuration);
    return;
  }
  if (result.faults.length === 0) faults.push('refused without a fault');
  for (const fault of result.faults) judgePlace(textOf(fault), fault, faults);
  const own = result.faults.filter(({ place }) => place.file === PATH);
  const lines = own.map(({ place }) => place.line * 1e9 + place.column);
  if (lines.some((line, at) => line < (lines[at - 1] ?? 0))) faults.push('faults out of their order');
}

function judgePlace(text: string, fault: Fault, faults: string[]): void {
  const { line, column, lengthChars, excerpt } = fault.place;
  const written = starred(text.replace(/^\uFEFF/, ''))
    .split('\n')
    [line - 1]?.replace(/\r$/, '');
  const told = formatFault(fault);
  const [head = '', above = '', below = '', ...more] = told.split('\n');
  // More may be starred: the rest of a password that was not quoted.
  const letters = (written ?? '').split('');
  const isShown =
    letters.length === excerpt.length &&
    letters.every((letter, at) => excerpt[at] === letter || excerpt[at] === '*');
  if (!isShown) faults.push(`line ${line} is not what is shown: ${told}`);
  const inLine = column >= 1 && column - 1 + lengthChars <= Math.max(excerpt.length, column);
  if (!inLine || lengthChars < 1 || column > excerpt.length + 1) faults.push(`beyond its line: ${told}`);
  if (more.length > 0 || /[^\P{Cc}\t]/u.test(head + above + below))
    faults.push(`not in three lines: ${told}`);
  const carets = /^ {4}([^^]*)(\^+)$/.exec(below);
  if (carets === null || (carets[1]?.length ?? 0) > [...above].length - 4)
    faults.push(`the carets stand beside the line: ${told}`);
  if (above.length > 250) faults.push('a line that is not cut');
}

/** Nothing that asks a configuration may throw. */
function useAll(configuration: Configuration): void {
  for (const domain of ['a.test', 'bücher.example', 'www.example.com']) {
    for (const binding of [undefined, 'binding 1']) {
      const at = { domain, ...(binding !== undefined && { binding }) };
      deliverySettings(configuration, at);
      traceOptions(configuration, at).map(formatTraced);
    }
  }
  for (const side of ['sending', 'receiving'] as const) settingsWithoutEffect(configuration, side);
  sidesOf(configuration);
  checkSending(configuration);
  checkReceiving(configuration);
}

/** What is written last in a stanza is what the configuration holds there. */
function judgeMeaning(pieces: readonly Piece[], configuration: Configuration, faults: string[]): void {
  const last = new Map<string, string>();
  let depth = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece.role === '{') depth += 1;
    if (piece.role === '}') depth -= 1;
    const value = pieces[index + 2];
    if (piece.role === 'option' && depth === 0 && value?.role === 'value') last.set(piece.text, value.text);
    else if (piece.role === 'option' && depth === 0) last.delete(piece.text);
  }
  for (const [name, text] of last) {
    const setting = configuration.global.get(name);
    if (setting?.value.kind !== 'scalar' || setting.value.text !== text)
      faults.push(`${name} is ${JSON.stringify(setting?.value)}, and ${JSON.stringify(text)} was written`);
  }
  const names = pieces.filter(({ role }) => role === 'option').map(({ text }) => text);
  const held = everyScope(configuration).flatMap(({ settings }: { readonly settings: Settings }) => [
    ...settings.keys(),
  ]);
  const strange = held.filter((name) => !names.includes(name));
  if (strange.length > 0) faults.push(`never written: ${strange.join()}`);
}

const PATH = 'x.conf';

function load(text: string): LoadResult {
  return loadConfiguration([{ path: PATH, text }]);
}

function scalarOf(text: string): Value {
  const place = { file: PATH, line: 1, column: 1, lengthChars: 1, excerpt: text };
  return { kind: 'scalar', text, place };
}

function offsetOf(text: string, { place }: Fault): number {
  const before = text.split('\n').slice(0, place.line - 1);
  return before.reduce((sum, line) => sum + line.length + 1, 0) + place.column - 1;
}

/** The same statements, one a line, every value in double quotes. */
function rewritten(text: string): string {
  const lines = (entries: readonly Entry[]): readonly string[] =>
    entries.flatMap((entry) => {
      if (entry.kind === 'include') return [`include ${quoted(entry.path.text)}`];
      if (entry.kind === 'assignment') return [`${entry.name} = ${valueText(entry.value)}`];
      const name = entry.name === undefined ? '' : ` ${quoted(entry.name.text)}`;
      return [`${entry.keyword}${name} {`, ...lines(entry.entries), '}'];
    });
  return lines(parseSyntax({ path: PATH, text }).entries).join('\n');
}

function valueText(value: Value): string {
  if (value.kind === 'scalar') return quoted(value.text);
  return `( ${value.items.map(({ text }) => quoted(text)).join(' ')} )`;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function outline(entries: readonly Entry[]): unknown {
  return entries.map((entry) => {
    if (entry.kind === 'include') return { include: entry.path.text };
    if (entry.kind === 'stanza') return [entry.keyword, entry.name?.text, outline(entry.entries)];
    const { name, value } = entry;
    return { [name]: value.kind === 'list' ? value.items.map(({ text }) => text) : value.text };
  });
}
