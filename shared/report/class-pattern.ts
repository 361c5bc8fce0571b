// A pattern of an operator's rule. Rules files come from KumoMTA, whose expressions are Rust's: what differs from
// JavaScript is translated or refused, never read as something else. Since a peer chooses the words that are matched,
// patterns that could take long are refused: no repetition of a repetition, and few of them.

export type PatternResult =
  | { readonly kind: 'pattern'; readonly expression: RegExp }
  | { readonly kind: 'fault'; readonly message: string; readonly mend: string };

/**
 * KumoMTA's community rules need three. With 512 octets that a peer made up for it, the worst such pattern takes 0.15 s,
 * one with two 1 ms.
 */
const MAX_REPETITIONS = 3;

export function readPattern(source: string): PatternResult {
  const foreign = FOREIGN.find(({ sign }) => sign.test(source));
  if (foreign !== undefined) return { kind: 'fault', message: foreign.message, mend: foreign.mend };

  const [, flags = '', body = ''] = /^(?:\(\?([a-z]+)\))?(.*)$/su.exec(source) ?? [];
  if (/[^ismu]/.test(flags)) {
    return fault(`the flags (?${flags}) are not known here`, 'keep to i, m and s');
  }
  const translated = body
    .replaceAll('(?P<', '(?<')
    .replaceAll(/\\A/g, '^')
    .replaceAll(/\\z/g, '$')
    // Rust lets any punctuation be escaped, JavaScript only its own.
    .replaceAll(/\\([\s"'@#%&,:;<=>_`~!-])/g, (_, sign: string) => (sign === '-' ? '\\x2d' : sign));
  let expression: RegExp;
  try {
    expression = new RegExp(translated, `u${flags.replaceAll('u', '')}`);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*: /s, '') : String(error);
    return fault(`no regular expression: ${why}`, 'mend the expression');
  }
  return hazardOf(translated) ?? { kind: 'pattern', expression };
}

const FOREIGN = [
  {
    sign: /\(\?<?[=!]/,
    message: 'looks ahead or behind',
    mend: 'write it without (?= (?! (?<= (?<!, which the format does not have',
  },
  {
    sign: /(?<!\\)(?:\\\\)*\\[1-9]/,
    message: 'refers back to a group',
    mend: 'write the words themselves, the format has no back references',
  },
  { sign: /\[\[:/, message: 'uses a POSIX class', mend: 'write \\d, \\s, \\w or a range' },
] as const;

function fault(message: string, mend: string): PatternResult {
  return { kind: 'fault', message, mend };
}

/** Undefined when matching is quick whatever a peer says. */
export function hazardOf(pattern: string): PatternResult | undefined {
  // Characters in brackets and escaped ones repeat nothing.
  const bare = pattern
    .replaceAll(/\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\./gsu, 'x')
    .replaceAll(/\[[^\]]*\]/gsu, 'x');
  const open: boolean[] = [];
  let inner = false;
  let repetitions = 0;
  for (const { 0: piece } of bare.matchAll(/\(|\)(?:[*+]|\{\d+,?\d*\})?|[*+]|\{\d+,\}/g)) {
    if (piece === '(') {
      open.push(inner);
      inner = false;
      continue;
    }
    if (piece.startsWith(')')) {
      const outer = open.pop() ?? false;
      if (piece.length > 1 && inner) {
        return fault('repeats a repetition', 'take the inner or the outer *, + or {n,} away');
      }
      if (piece.length > 1) repetitions += 1;
      inner = outer || inner || piece.length > 1;
      continue;
    }
    repetitions += 1;
    inner = true;
  }
  // A pattern that may begin anywhere begins at every character: that is one repetition more.
  const anchored = bare.startsWith('^') && !topLevelAlternative(bare);
  if (repetitions + (anchored ? 0 : 1) <= MAX_REPETITIONS) return undefined;
  return fault(
    `repeats more than ${MAX_REPETITIONS} times`,
    anchored ? 'use fewer of *, + and {n,}' : 'begin it with ^, and use fewer of *, + and {n,}',
  );
}

function topLevelAlternative(bare: string): boolean {
  let depth = 0;
  for (const char of bare) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (char === '|' && depth === 0) return true;
  }
  return false;
}
