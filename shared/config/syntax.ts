// The tree of a configuration file: assignments (`name = value`, `name = ( list )`), stanzas
// (`Kind "name" { … }`) and `include "file"`. Line ends mean nothing, so several statements may share a line.
// After a fault the reader goes on at the next statement, so that one slip does not hide the others. Stanzas are
// kept on a list of their own while they are open: no depth of nesting exhausts the stack.

import { type Fault, MAX_FAULTS_KEPT, type Place, shown } from './fault.ts';
import { lex, type SourceFile, type Token } from './lexer.ts';
import { looksSecret } from './secrets.ts';
import { stanzaKind } from './stanzas.ts';

export interface Scalar {
  readonly kind: 'scalar';
  readonly text: string;
  readonly place: Place;
}

export interface List {
  readonly kind: 'list';
  readonly items: readonly Scalar[];
  readonly place: Place;
}

export type Value = Scalar | List;

export interface Assignment {
  readonly kind: 'assignment';
  readonly name: string;
  readonly place: Place;
  readonly value: Value;
}

export interface Stanza {
  readonly kind: 'stanza';
  readonly keyword: string;
  readonly place: Place;
  readonly name?: Scalar;
  readonly entries: readonly Entry[];
}

export interface Include {
  readonly kind: 'include';
  readonly path: Scalar;
}

export type Entry = Assignment | Stanza | Include;

/** Momentum's `readonly_include` keeps its console from writing to the file; there is no console here. */
const INCLUDE_WORDS = ['include', 'readonly_include'];

export function parseSyntax(file: SourceFile): {
  readonly entries: readonly Entry[];
  readonly faults: readonly Fault[];
} {
  const { tokens, faults: lexicalFaults } = lex(file);
  const cursor = new Cursor(tokens);
  const entries = parseEntries(cursor);
  const faults = [...lexicalFaults, ...cursor.faults].sort(
    (a, b) => a.place.line - b.place.line || a.place.column - b.place.column,
  );
  return { entries, faults };
}

/** Where the reader stands; lives as long as the reading of one file. */
class Cursor {
  readonly faults: Fault[] = [];
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #index = 0;

  constructor(tokens: readonly Token[]) {
    const end = tokens.at(-1);
    if (end === undefined) throw new Error('the lexer always ends with a token of kind end');
    this.#tokens = tokens;
    this.#end = end;
  }

  peek(ahead = 0): Token {
    return this.#tokens[this.#index + ahead] ?? this.#end;
  }

  take(): Token {
    const token = this.peek();
    this.#index += 1;
    return token;
  }

  fault(token: Token, message: string, mend?: string): void {
    if (this.faults.length >= MAX_FAULTS_KEPT) return;
    this.faults.push({ place: token.place, message, ...(mend === undefined ? {} : { mend }) });
  }
}

interface StanzaHead {
  readonly kind: 'head';
  readonly keyword: Token;
  readonly name?: Scalar;
  /** Its `{`. */
  readonly opening: Token;
}

/** A stanza whose end is still to come, with the entries of what stands around it. */
interface Open {
  readonly head: StanzaHead;
  readonly around: Entry[];
}

function parseEntries(cursor: Cursor): readonly Entry[] {
  const open: Open[] = [];
  let entries: Entry[] = [];
  const close = ({ head, around }: Open): void => {
    const { keyword, name } = head;
    const own = { keyword: keyword.text, place: keyword.place, entries };
    around.push({ kind: 'stanza', ...own, ...(name === undefined ? {} : { name }) });
    entries = around;
  };
  for (;;) {
    const token = cursor.peek();
    if (token.kind === 'end') {
      for (let last = open.pop(); last !== undefined; last = open.pop()) {
        cursor.fault(last.head.opening, 'this { is never closed', 'close it with }');
        close(last);
      }
      return entries;
    }
    if (token.kind === '}') {
      cursor.take();
      const last = open.pop();
      if (last === undefined) cursor.fault(token, 'this } closes nothing');
      else close(last);
      continue;
    }
    const entry = parseEntry(cursor);
    if (entry === undefined) skipStatement(cursor);
    else if (entry.kind !== 'head') entries.push(entry);
    else {
      open.push({ head: entry, around: entries });
      entries = [];
    }
  }
}

function parseEntry(cursor: Cursor): Assignment | Include | StanzaHead | undefined {
  const keyword = cursor.take();
  if (keyword.kind !== 'word') {
    cursor.fault(keyword, `a statement begins with a name, not with ${describe(keyword)}`);
    return undefined;
  }
  const next = cursor.peek();
  if (next.kind === '=' && !isInclude(keyword)) {
    cursor.take();
    const value = parseValue(cursor, keyword);
    if (value === undefined) return undefined;
    return { kind: 'assignment', name: keyword.text, place: keyword.place, value };
  }
  if (next.kind === '{') return { kind: 'head', keyword, opening: cursor.take() };
  if (isText(next)) {
    if (cursor.peek(1).kind === '{') {
      const name = scalar(cursor.take());
      return { kind: 'head', keyword, name, opening: cursor.take() };
    }
    if (isInclude(keyword) && !beginsStatement(cursor))
      return { kind: 'include', path: scalar(cursor.take()) };
  }
  const followed = looksSecret(keyword.text) && isText(next) ? 'a value' : describe(next);
  cursor.fault(keyword, `${shown(keyword.text)} is followed by ${followed}`, mendOf(keyword, cursor));
  return undefined;
}

/** The rest of a password that was written without quotation marks. */
function starredFrom(place: Place): Place {
  const at = place.column - 1;
  return { ...place, excerpt: place.excerpt.slice(0, at) + place.excerpt.slice(at).replaceAll(/\S/g, '*') };
}

function isInclude({ text }: Token): boolean {
  return INCLUDE_WORDS.includes(text.toLowerCase());
}

function mendOf(keyword: Token, cursor: Cursor): string {
  const { text } = keyword;
  if (isInclude(keyword)) return `write ${text} "file.conf"`;
  const [next, behind] = [cursor.peek(), cursor.peek(1)];
  const kind = stanzaKind(text);
  if (kind !== undefined && isText(next)) {
    if (behind.kind === ',') return `write one ${kind} { … } for each name`;
    return `write ${kind} ${next.kind === 'string' ? `"${next.text}"` : next.text} { … }`;
  }
  const isPair = isText(next) && !next.firstOnLine && (behind.firstOnLine || !isText(behind));
  if (isPair && behind.kind !== '=' && !text.endsWith(':'))
    return `write ${text} = ${looksSecret(text) ? '…' : shown(next.text)}`;
  return text.endsWith(':') ? `write ${text.slice(0, -1)} = …` : 'write name = value or Kind "name" { … }';
}

function parseValue(cursor: Cursor, name: Token): Value | undefined {
  const first = cursor.peek();
  if (first.kind === '(') return parseList(cursor);
  if (first.kind === 'word' && /^\[/.test(first.text) && (first.text === '[' || cursor.peek(1).kind === '='))
    return parseDictionary(cursor);
  // `a =` at a line's end would otherwise swallow the next statement's name.
  if (!isText(first) || beginsStatement(cursor)) {
    const mend = first.kind === '{' ? 'a list stands in parentheses, ( … )' : `write ${name.text} = …`;
    cursor.fault(name, `${shown(name.text)} has no value`, mend);
    return undefined;
  }
  const value = scalar(cursor.take());
  if (cursor.peek().kind === '=' && !cursor.peek().firstOnLine) {
    cursor.fault(cursor.peek(), 'a bare value cannot hold =', 'put the value in quotation marks');
    return undefined;
  }
  if (endsHere(cursor)) return value;
  tooMany(cursor, name, value);
  return undefined;
}

/** Whether no second value follows on the line: a statement may. */
function endsHere(cursor: Cursor): boolean {
  const next = cursor.peek();
  if (!isText(next) || next.firstOnLine) return true;
  if (next.kind === 'word' && (stanzaKind(next.text) !== undefined || isInclude(next))) return true;
  const behind = cursor.peek(1);
  if (behind.kind === '=' || behind.kind === '{') return true;
  return isText(behind) && !behind.firstOnLine && cursor.peek(2).kind === '{';
}

function tooMany(cursor: Cursor, name: Token, value: Scalar): void {
  const second = cursor.peek();
  const texts = [value.text];
  while (!endsHere(cursor)) texts.push(cursor.take().text);
  // What follows the name of a secret is one, also where that name was taken for a value.
  const isTold = ![name.text, ...texts].some(looksSecret);
  const isRate = isTold && /^\d+$/.test(value.text) && texts.slice(1).some((text) => text.startsWith('/'));
  cursor.fault(
    looksSecret(name.text) ? { ...second, place: starredFrom(second.place) } : second,
    `${shown(name.text)} has more than one value${isTold ? `: ${texts.map(shown).join(', ')}` : ''}`,
    isRate ? `write "${texts.join('')}"` : 'write one, in quotation marks if it holds white space',
  );
}

function parseList(cursor: Cursor): List | undefined {
  const opening = cursor.take();
  const items: Scalar[] = [];
  for (;;) {
    const token = cursor.peek();
    if (token.kind === ')') {
      cursor.take();
      return { kind: 'list', items, place: opening.place };
    }
    if (isText(token) && !beginsStatement(cursor)) {
      items.push(scalar(cursor.take()));
    } else if (token.kind === ',') {
      cursor.take();
    } else if (token.kind === '=' && items.length > 0) {
      cursor.fault(token, 'a bare value cannot hold =', 'put the value in quotation marks');
      skipList(cursor);
      return undefined;
    } else if (token.kind === '(') {
      cursor.fault(token, 'a list holds no other list', 'take the inner parentheses out');
      skipList(cursor);
      return undefined;
    } else {
      cursor.fault(opening, `this list is not closed before ${describe(token)}`, 'end it with )');
      return undefined;
    }
  }
}

// Momentum's `[ name = value … ]`, which stands in options that have no part here: its values as a list.
function parseDictionary(cursor: Cursor): List | undefined {
  const opening = cursor.take();
  const items: Scalar[] = [];
  for (;;) {
    const token = cursor.peek();
    if (token.kind === 'end' || token.kind === '{' || token.kind === '}') {
      cursor.fault(opening, `this [ is not closed before ${describe(token)}`, 'end it with ]');
      return undefined;
    }
    cursor.take();
    if (token.kind === 'word' && token.text.endsWith(']'))
      return { kind: 'list', items, place: opening.place };
    if (isText(token)) items.push(scalar(token));
  }
}

function beginsStatement(cursor: Cursor): boolean {
  if (!cursor.peek().firstOnLine) return false;
  const next = cursor.peek(1);
  if (next.kind === '=' || next.kind === '{') return true;
  return isText(next) && !next.firstOnLine && cursor.peek(2).kind === '{';
}

// To the next name or value that begins a line, or the end of the stanza; a block on the way is passed over whole.
function skipStatement(cursor: Cursor): void {
  let depth = 0;
  for (;;) {
    const token = cursor.peek();
    if (token.kind === 'end') return;
    if (depth === 0 && (token.kind === '}' || (token.firstOnLine && isText(token)))) return;
    if (token.kind === '{') depth += 1;
    if (token.kind === '}') depth -= 1;
    cursor.take();
  }
}

// To the end of a list that is read no further.
function skipList(cursor: Cursor): void {
  for (let depth = 1; depth > 0 && !beginsStatement(cursor); ) {
    const { kind } = cursor.peek();
    if (kind === 'end' || kind === '{' || kind === '}') return;
    if (kind === '(') depth += 1;
    if (kind === ')') depth -= 1;
    cursor.take();
  }
}

function isText(token: Token): boolean {
  return token.kind === 'word' || token.kind === 'string';
}

function scalar(token: Token): Scalar {
  return { kind: 'scalar', text: token.text, place: token.place };
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the file';
    case 'word':
    case 'string':
      return shown(token.text);
    case '=':
    case '{':
    case '}':
    case '(':
    case ')':
    case ',':
      return token.kind;
  }
}
