// What a check finds: told as it was found to people, and with its parts apart to programs.

export type Severity = 'fault' | 'warning' | 'note';

export interface Finding {
  readonly severity: Severity;
  /** As the reader of configurations prints it: `file:line:column: message`, its line and carets. */
  readonly text: string;
}

/** Of one finding, for `--json`. */
export interface FindingFields {
  readonly severity: Severity;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
}

export function fieldsOf({ severity, text }: Finding): FindingFields {
  const [first = ''] = text.split('\n');
  const located = LOCATED.exec(first)?.groups;
  if (located === undefined) return { severity, file: null, line: null, column: null, message: text };
  return {
    severity,
    file: located['file'] ?? null,
    line: Number(located['line']),
    column: located['column'] === undefined ? null : Number(located['column']),
    message: located['message'] ?? '',
  };
}

/** Warnings and notes say what they are; a fault needs no word. */
export function printed(finding: Finding): string {
  const { severity, text } = finding;
  if (severity === 'fault') return `${text}\n`;
  const { file, line, message } = fieldsOf(finding);
  return file === null ? `${severity}: ${message}\n` : `${file}:${line}: ${severity}: ${message}\n`;
}

const LOCATED = /^(?<file>.+?):(?<line>\d+):(?:(?<column>\d+):)? (?<message>.*)$/;
