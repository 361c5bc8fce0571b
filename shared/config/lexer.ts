// Splits a configuration file into tokens with their places. `#` and `/* */` are comments; values stand in
// double quotes (`\"` and `\\` are escapes, any other backslash stays, so that regular expressions read well),
// in single quotes (verbatim), or bare. A bare word ends at white space or one of { } ( ) = , " ' # ;.
// Faults: a quotation or comment that is not closed, a semicolon, typographic quotation marks, characters that
// nobody sees, octets that are not UTF-8. A file with a NUL is no text, and is read no further. Never throws.

import { type Fault, MAX_FAULTS_KEPT, type Place } from './fault.ts';
import { starred } from './secrets.ts';

export interface SourceFile {
  /** As it is to be named in faults. */
  readonly path: string;
  /** Decoded as UTF-8, with U+FFFD where that failed. */
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

export interface Lexed {
  /** The last one is always of kind `end`. */
  readonly tokens: readonly Token[];
  readonly faults: readonly Fault[];
}

const TYPOGRAPHIC = /[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]/;
const UNSEEN = /\p{Cf}/u;
const CONTROL = /(?!\s)\p{Cc}/u;

export function lex(file: SourceFile): Lexed {
  const text = file.text.startsWith('\uFEFF') ? file.text.slice(1) : file.text;
  const lines = starred(text)
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  const starts = lineStarts(text);
  const tokens: Token[] = [];
  const faults: Fault[] = [];
  let lastTokenLine = 0;

  const placeOf = (from: number, to: number): Place => {
    const line = lineAt(starts, from);
    const column = from - (starts[line - 1] ?? 0) + 1;
    const excerpt = lines[line - 1] ?? '';
    const lengthChars = Math.max(1, Math.min(to - from, excerpt.length - column + 1));
    return { file: file.path, line, column, lengthChars, excerpt };
  };
  const fault = (from: number, to: number, message: string, mend?: string): void => {
    if (faults.length >= MAX_FAULTS_KEPT) return;
    faults.push({ place: placeOf(from, to), message, ...(mend === undefined ? {} : { mend }) });
  };
  const push = (kind: TokenKind, value: string, from: number, to: number): void => {
    const place = placeOf(from, to);
    tokens.push({ kind, text: value, place, firstOnLine: place.line !== lastTokenLine });
    lastTokenLine = lineAt(starts, Math.max(from, to - 1));
  };
  const pushText = (kind: 'word' | 'string', value: string, from: number, to: number): void => {
    const broken = text.slice(from, to).indexOf('\uFFFD');
    if (broken >= 0) fault(from + broken, from + broken + 1, 'this is not UTF-8', 'save the file as UTF-8');
    push(kind, value, from, to);
  };

  const nul = text.indexOf('\0');
  if (nul >= 0) {
    fault(nul, nul + 1, 'this is no text file: it holds a NUL character', 'save it as text, in UTF-8');
    push('end', '', text.length, text.length);
    return { tokens, faults };
  }

  let offset = 0;
  while (offset < text.length) {
    const from = offset;
    const character = text.charAt(offset);
    if (/\s/.test(character)) {
      offset += 1;
    } else if (character === '#') {
      offset = endOf(text, '\n', offset);
    } else if (text.startsWith('/*', offset)) {
      const end = text.indexOf('*/', offset + 2);
      if (end < 0) fault(from, from + 2, 'this comment is never closed with */');
      offset = end < 0 ? text.length : end + 2;
    } else if (isPunctuation(character)) {
      offset += 1;
      push(character, character, from, offset);
    } else if (character === '"' || character === "'") {
      const quoted = readQuoted(text, offset, character);
      offset = quoted.end;
      if (!quoted.closed)
        fault(from, offset, 'this quotation is not closed on its line', `end it with ${character}`);
      pushText('string', quoted.text, from, offset);
    } else if (TYPOGRAPHIC.test(character)) {
      const end = typographicEnd(text, offset);
      fault(from, from + 1, 'this is a typographic quotation mark', 'write " or \'');
      offset = end.after;
      pushText('string', text.slice(from + 1, end.at), from, offset);
    } else if (character === ';') {
      offset += 1;
      fault(
        from,
        offset,
        'a statement takes no semicolon',
        'remove it, or quote the value that it belongs to',
      );
    } else if (CONTROL.test(character)) {
      while (CONTROL.test(text.charAt(offset))) offset += 1;
      fault(from, offset, 'a control character has no place here');
    } else {
      offset = wordEnd(text, offset);
      const word = text.slice(from, offset);
      const unseen = UNSEEN.exec(word);
      if (unseen !== null) {
        const code = (unseen[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
        const at = from + unseen.index;
        fault(at, at + unseen[0].length, `a character that nobody sees stands here (U+${code})`, 'remove it');
      }
      const seen = word.replaceAll(new RegExp(UNSEEN, 'gu'), '');
      if (seen !== '') pushText('word', seen, from, offset);
    }
  }
  push('end', '', text.length, text.length);
  return { tokens, faults };
}

function isPunctuation(character: string): character is '=' | '{' | '}' | '(' | ')' | ',' {
  return '={}(),'.includes(character);
}

function endOf(text: string, what: string, from: number): number {
  const end = text.indexOf(what, from);
  return end < 0 ? text.length : end;
}

function wordEnd(text: string, from: number): number {
  const end = /[\s{}()=,"'#;\p{Cc}\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]/gu;
  end.lastIndex = from;
  return end.exec(text)?.index ?? text.length;
}

function readQuoted(
  text: string,
  from: number,
  quote: string,
): { readonly text: string; readonly end: number; readonly closed: boolean } {
  const parts: string[] = [];
  const stop = quote === '"' ? /["\n\r]|\\["\\]/g : /['\n\r]/g;
  let offset = from + 1;
  for (;;) {
    stop.lastIndex = offset;
    const found = stop.exec(text);
    const end = found?.index ?? text.length;
    parts.push(text.slice(offset, end));
    if (found === null || found[0] === '\n' || found[0] === '\r')
      return { text: parts.join(''), end, closed: false };
    if (found[0] === quote) return { text: parts.join(''), end: end + 1, closed: true };
    parts.push(found[0].charAt(1));
    offset = end + 2;
  }
}

// To the next typographic or plain quotation mark of the line, or to the end of the word.
function typographicEnd(text: string, from: number): { readonly at: number; readonly after: number } {
  const line = text.slice(from + 1, endOf(text, '\n', from));
  const closing = /["\u201c\u201d\u2018\u2019\u00ab\u00bb]/.exec(line);
  if (closing !== null) return { at: from + 1 + closing.index, after: from + 2 + closing.index };
  const end = wordEnd(text, from + 1);
  return { at: end, after: end };
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
