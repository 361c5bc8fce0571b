// Faults show the line that they are in, and lines hold passwords: what stands where a secret stands is starred
// before anything is shown. A name that only looks like that of a secret counts as well, since slips are shown too.

const NAME = String.raw`[\w-]*(?:basic_?a|passw|auth_pass|secret)[\w-]*`;
/** White space, and comments that somebody reads: looking for the end of a longer one would take too long. */
const GAP = String.raw`(?:\s|#[^\n]{0,500}\n|/\*[\s\S]{0,500}?\*/)*`;
const VALUE = String.raw`"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|[\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb][^\n]*|[^\s{}()#;=][^\s{}()#;]*`;
// No stretch of it can be read in two ways: white space without end takes no more than one look.
const SECRET = new RegExp(
  String.raw`(?<![\w-])(${NAME})(?![\w-])(${GAP}(?:[=:]${GAP})?(?:\(${GAP})?)(${VALUE})`,
  'gi',
);

/** Of the same length, line by line. */
export function starred(text: string): string {
  return text.replaceAll(
    SECRET,
    (_, name: string, between: string, value: string) =>
      `${name}${between}${value.replaceAll(/[^\r\n]/g, '*')}`,
  );
}

export function looksSecret(name: string): boolean {
  return new RegExp(`^${NAME}:?$`, 'i').test(name);
}
