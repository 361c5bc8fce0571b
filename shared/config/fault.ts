// What is wrong in a configuration, and where. Faults are values: the reader goes on after one, so that all of
// them are reported together.

/** A stretch of one line of a configuration file. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** At least 1. */
  readonly lengthChars: number;
  /** The whole line, without its line ending. */
  readonly excerpt: string;
}

export interface Fault {
  readonly place: Place;
  /** What is wrong, without a full stop. */
  readonly message: string;
  /** What to write instead, without a full stop. */
  readonly mend?: string;
}

/** `file:line:column: message; mend`, the line, and carets below the stretch in question. */
export function formatFault(fault: Fault): string {
  const { file, line, column, lengthChars, excerpt } = fault.place;
  const mend = fault.mend === undefined ? '' : `; ${fault.mend}`;
  const indent = excerpt.slice(0, column - 1).replaceAll(/[^\t]/g, ' ');
  return `${file}:${line}:${column}: ${fault.message}${mend}\n    ${excerpt}\n    ${indent}${'^'.repeat(lengthChars)}`;
}
