// The tree of a configuration file: assignments (`name = value`, `name = ( list )`), stanzas
// (`Kind "name" { … }`) and `include "file"`. Line ends mean nothing, so several statements may share a line.
// After a fault the reader goes on at the next statement, so that one slip does not hide the others.

import type { Fault, Place } from './fault.ts';
import { lex, type SourceFile, type Token } from './lexer.ts';

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

const INCLUDE_WORDS = ['include', 'readonly_include'];

export function parseSyntax(file: SourceFile): {
  readonly entries: readonly Entry[];
  readonly faults: readonly Fault[];
} {
  const { tokens, faults: lexicalFaults } = lex(file);
  const cursor = new Cursor(tokens);
  const entries = parseEntries(cursor, undefined);
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
    this.faults.push({ place: token.place, message, ...(mend === undefined ? {} : { mend }) });
  }
}

function parseEntries(cursor: Cursor, opening: Token | undefined): readonly Entry[] {
  const entries: Entry[] = [];
  for (;;) {
    const token = cursor.peek();
    if (token.kind === 'end') {
      if (opening !== undefined) cursor.fault(opening, 'this { is never closed');
      return entries;
    }
    if (token.kind === '}') {
      cursor.take();
      if (opening !== undefined) return entries;
      cursor.fault(token, 'this } closes nothing');
      continue;
    }
    const entry = parseEntry(cursor);
    if (entry === undefined) skipStatement(cursor);
    else entries.push(entry);
  }
}

function parseEntry(cursor: Cursor): Entry | undefined {
  const keyword = cursor.take();
  if (keyword.kind !== 'word') {
    cursor.fault(keyword, `a statement begins with a name, not with ${describe(keyword)}`);
    return undefined;
  }
  const next = cursor.peek();
  if (next.kind === '=') {
    cursor.take();
    const value = parseValue(cursor, keyword);
    if (value === undefined) return undefined;
    return { kind: 'assignment', name: keyword.text, place: keyword.place, value };
  }
  if (next.kind === '{') {
    return { kind: 'stanza', keyword: keyword.text, place: keyword.place, entries: parseBlock(cursor) };
  }
  if (isText(next)) {
    if (cursor.peek(1).kind === '{') {
      const name = scalar(cursor.take());
      return {
        kind: 'stanza',
        keyword: keyword.text,
        place: keyword.place,
        name,
        entries: parseBlock(cursor),
      };
    }
    if (INCLUDE_WORDS.includes(keyword.text.toLowerCase()))
      return { kind: 'include', path: scalar(cursor.take()) };
  }
  cursor.fault(
    keyword,
    `"${keyword.text}" is followed by ${describe(next)}`,
    'write name = value or Kind "name" { … }',
  );
  return undefined;
}

function parseBlock(cursor: Cursor): readonly Entry[] {
  const opening = cursor.take();
  return parseEntries(cursor, opening);
}

function parseValue(cursor: Cursor, name: Token): Value | undefined {
  const first = cursor.peek();
  if (first.kind === '(') return parseList(cursor);
  // `a =` at a line's end would otherwise swallow the next statement's name.
  const startsNextStatement = first.firstOnLine && ['=', '{'].includes(cursor.peek(1).kind);
  if (!isText(first) || startsNextStatement) {
    cursor.fault(name, `"${name.text}" has no value`);
    return undefined;
  }
  const value = scalar(cursor.take());
  if (cursor.peek().kind === '=' && !cursor.peek().firstOnLine) {
    cursor.fault(cursor.peek(), 'a bare value cannot hold =', 'put the value in quotation marks');
    return undefined;
  }
  return value;
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
    if (isText(token)) {
      items.push(scalar(cursor.take()));
    } else if (token.kind === ',') {
      cursor.take();
    } else {
      cursor.fault(opening, `this list is not closed before ${describe(token)}`, 'end it with )');
      return undefined;
    }
  }
}

// To the next statement that begins a line, or the end of the stanza; a block on the way is passed over whole.
function skipStatement(cursor: Cursor): void {
  let depth = 0;
  for (;;) {
    const token = cursor.peek();
    if (token.kind === 'end') return;
    if (depth === 0 && (token.kind === '}' || (token.firstOnLine && token.kind === 'word'))) return;
    if (token.kind === '{') depth += 1;
    if (token.kind === '}') depth -= 1;
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
      return `"${token.text}"`;
    case '=':
    case '{':
    case '}':
    case '(':
    case ')':
    case ',':
      return token.kind;
  }
}
