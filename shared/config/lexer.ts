// Splits a configuration file into tokens with their places. `#` and `/* */` are comments; values stand in
// double quotes (`\"` and `\\` are escapes, any other backslash stays, so that regular expressions read well),
// in single quotes (verbatim), or bare. A bare word ends at white space or one of { } ( ) = , " ' # ;.
// Faults: a quotation or comment that is not closed, a semicolon, a control character. Never throws.

import type { Fault, Place } from './fault.ts';

export interface SourceFile {
  /** As it is to be named in faults. */
  readonly path: string;
  readonly text: string;
}

export type TokenKind = 'word' | 'string' | '=' | '{' | '}' | '(' | ')' | ',' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Of words and strings: the text without quotation marks and escapes. */
  readonly text: string;
  readonly place: Place;
  readonly firstOnLine: boolean;
}

/** The last token is always of kind `end`. */
export function lex(file: SourceFile): {
  readonly tokens: readonly Token[];
  readonly faults: readonly Fault[];
} {
  const text = file.text.startsWith('\uFEFF') ? file.text.slice(1) : file.text;
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const starts = lineStarts(text);
  const tokens: Token[] = [];
  const faults: Fault[] = [];
  let offset = 0;
  let lastTokenLine = 0;

  const placeOf = (from: number, to: number): Place => {
    const line = lineAt(starts, from);
    const column = from - (starts[line - 1] ?? 0) + 1;
    const excerpt = lines[line - 1] ?? '';
    const lengthChars = Math.max(1, Math.min(to - from, excerpt.length - column + 1));
    return { file: file.path, line, column, lengthChars, excerpt };
  };
  const push = (kind: TokenKind, value: string, from: number, to: number): void => {
    const place = placeOf(from, to);
    tokens.push({ kind, text: value, place, firstOnLine: place.line !== lastTokenLine });
    lastTokenLine = lineAt(starts, Math.max(from, to - 1));
  };

  while (offset < text.length) {
    const from = offset;
    const character = text.charAt(offset);
    if (/\s/.test(character)) {
      offset += 1;
    } else if (character === '#') {
      const end = text.indexOf('\n', offset);
      offset = end < 0 ? text.length : end;
    } else if (text.startsWith('/*', offset)) {
      const end = text.indexOf('*/', offset + 2);
      if (end < 0)
        faults.push({ place: placeOf(from, from + 2), message: 'this comment is never closed with */' });
      offset = end < 0 ? text.length : end + 2;
    } else if (isPunctuation(character)) {
      offset += 1;
      push(character, character, from, offset);
    } else if (character === '"' || character === "'") {
      const quoted = readQuoted(text, offset, character);
      offset = quoted.end;
      if (!quoted.closed) {
        faults.push({
          place: placeOf(from, offset),
          message: `this quotation is not closed on its line`,
          mend: `end it with ${character}`,
        });
      }
      push('string', quoted.text, from, offset);
    } else if (character === ';') {
      offset += 1;
      faults.push({
        place: placeOf(from, offset),
        message: 'a statement takes no semicolon',
        mend: 'remove it, or quote the value that it belongs to',
      });
    } else if (character < ' ' || character === '\u007f') {
      offset += 1;
      faults.push({ place: placeOf(from, offset), message: 'a control character has no place here' });
    } else {
      offset = wordEnd(text, offset);
      push('word', text.slice(from, offset), from, offset);
    }
  }
  push('end', '', text.length, text.length);
  return { tokens, faults };
}

function isPunctuation(character: string): character is '=' | '{' | '}' | '(' | ')' | ',' {
  return '={}(),'.includes(character);
}

function wordEnd(text: string, from: number): number {
  const pattern = /[\s{}()=,"'#;]/g;
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}

function readQuoted(
  text: string,
  from: number,
  quote: string,
): { readonly text: string; readonly end: number; readonly closed: boolean } {
  let value = '';
  let offset = from + 1;
  while (offset < text.length) {
    const character = text.charAt(offset);
    if (character === quote) return { text: value, end: offset + 1, closed: true };
    if (character === '\n' || character === '\r') break;
    const next = text.charAt(offset + 1);
    if (quote === '"' && character === '\\' && (next === '"' || next === '\\')) {
      value += next;
      offset += 2;
    } else {
      value += character;
      offset += 1;
    }
  }
  return { text: value, end: offset, closed: false };
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

// The line, from 1, that holds an offset: the last start that is not behind it.
function lineAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}
