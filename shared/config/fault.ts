// What is wrong in a configuration, and where. Faults are values: the reader goes on after one, so that all of
// them are reported together. What is shown of a file is cut to what fits a line, and holds no control characters,
// since it goes to terminals and logs.

/** A stretch of one line of a configuration file. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** At least 1. */
  readonly lengthChars: number;
  /** The whole line, without its line ending, and with stars for secrets. */
  readonly excerpt: string;
}

export interface Fault {
  readonly place: Place;
  /** What is wrong, without a full stop. */
  readonly message: string;
  /** What to write instead, without a full stop. */
  readonly mend?: string;
}

/** Of one file: whoever kept more of them would have no memory left for a hostile one. */
export const MAX_FAULTS_KEPT = 1_000;

/** What is shown of a line at most, in UTF-16 units. */
const MAX_EXCERPT_CHARS = 110;
/** What is shown before the stretch in question, of a line that is cut. */
const LEAD_CHARS = 40;
/** What is shown of a value within a message. */
const MAX_SHOWN_CHARS = 60;

/** `file:line:column: message; mend`, the line, and carets below the stretch in question. */
export function formatFault(fault: Fault): string {
  const { file, line, column, lengthChars, excerpt } = fault.place;
  const mend = fault.mend === undefined ? '' : `; ${fault.mend}`;
  const at = column - 1;
  const from = wholeFrom(excerpt, Math.max(0, Math.min(at - LEAD_CHARS, excerpt.length - MAX_EXCERPT_CHARS)));
  const to = wholeFrom(excerpt, Math.min(excerpt.length, from + MAX_EXCERPT_CHARS));
  const end = Math.max(at, Math.min(to, at + lengthChars));
  const before = `${from > 0 ? '…' : ''}${visible(excerpt.slice(from, at))}`;
  const marked = visible(excerpt.slice(at, end));
  const after = `${visible(excerpt.slice(end, to))}${to < excerpt.length ? '…' : ''}`;
  const indent = before.replaceAll(/[^\t]/gu, ' ');
  const carets = '^'.repeat(Math.max(1, [...marked].length));
  return (
    `${visible(file)}:${line}:${column}: ${visible(`${fault.message}${mend}`)}\n` +
    `    ${before}${marked}${after}\n    ${indent}${carets}`
  );
}

/** `file:line`, as messages and traces name a place. */
export function formatPlace({ file, line }: Place): string {
  return `${visible(file)}:${line}`;
}

/** A written value within a message: in quotation marks, cut when it is long. */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN_CHARS ? `${text.slice(0, wholeFrom(text, MAX_SHOWN_CHARS))}…` : text;
  return `"${visible(cut)}"`;
}

/** Without control characters, and without those that turn the direction of writing or cannot be seen. */
export function visible(text: string): string {
  return text
    .replaceAll(/\p{Cc}/gu, pictureOf)
    .replaceAll(/[\u2028\u2029]|\p{Cf}/gu, '▯')
    .replaceAll(/\p{Cs}/gu, '\uFFFD');
}

function pictureOf(control: string): string {
  const code = control.charCodeAt(0);
  if (control === '\t') return control;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '␡' : '▯';
}

// Not between the halves of a surrogate pair.
function wholeFrom(text: string, offset: number): number {
  const unit = text.charCodeAt(offset);
  return unit >= 0xdc00 && unit <= 0xdfff ? offset + 1 : offset;
}
