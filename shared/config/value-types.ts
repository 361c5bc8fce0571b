// What an option's value may be: each type reads a written value into a typed one, or says what it should be. Here
// are the plain ones; what is particular to hosts and to mail has files of its own.

import { nearestName } from './nearest.ts';
import type { Scalar, Value } from './syntax.ts';

export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      /** The part of the value that is wrong. */
      readonly culprit: Value;
      /** What is wrong; undefined when all there is to say is what the type takes. */
      readonly reason?: string;
      readonly mend?: string;
      /** Of a list: what else is wrong in it. */
      readonly others?: readonly (Reading<T> & { readonly ok: false })[];
    };

export interface ValueType<T> {
  /** Completes "… takes": `a whole number from 1 to 10`. */
  readonly takes: string;
  read(value: Value): Reading<T>;
}

export function wholeNumber(least: number, most: number): ValueType<number> {
  return fromText(`a whole number from ${least} to ${most}`, (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    return number >= least && number <= most ? number : undefined;
  });
}

const FLAG_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['0', false],
]);

export const flag: ValueType<boolean> = fromWords('true or false', FLAG_WORDS);

/** One of the words, in any letter case. */
export function choice<const Word extends string>(...words: readonly Word[]): ValueType<Word> {
  return fromWords(enumerated(words), new Map(words.map((word) => [word, word])));
}

/** `"a", "b" or "c"`. */
export function enumerated(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`);
  const last = quoted.pop() ?? '';
  return quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`;
}

/** Words that each stand for a value, in any letter case; a slip finds the nearest of them. */
export function fromWords<T>(takes: string, words: ReadonlyMap<string, T>): ValueType<T> {
  const known = [...words.keys()];
  return {
    takes,
    read(value) {
      if (value.kind === 'list') return { ok: false, culprit: value };
      const lower = value.text.toLowerCase();
      for (const [word, meant] of words) if (word.toLowerCase() === lower) return { ok: true, value: meant };
      const nearest = value.text.length < 3 ? undefined : nearestName(value.text, known);
      return {
        ok: false,
        culprit: value,
        ...(nearest === undefined ? {} : { mend: `did you mean "${nearest}"?` }),
      };
    },
  };
}

export const anyText: ValueType<string> = fromText('a text', (text) => text);

/** Where a file is; whoever reads files finds it beside the file that names it, when it is relative. */
export const filePath: ValueType<string> = fromText('the path of a file', (text) =>
  text === '' || text.includes('\0') ? undefined : text,
);

export function fromText<T>(takes: string, parse: (text: string) => T | undefined): ValueType<T> {
  return {
    takes,
    read(value) {
      const parsed = value.kind === 'list' ? undefined : parse(value.text);
      return parsed === undefined ? { ok: false, culprit: value } : { ok: true, value: parsed };
    },
  };
}

/** A single value stands for a list of one. */
export function fromList<T>(takes: string, parse: (item: Scalar) => Reading<T>): ValueType<readonly T[]> {
  return {
    takes,
    read(value) {
      const readings = (value.kind === 'list' ? value.items : [value]).map(parse);
      const [first, ...others] = readings.filter((reading) => !reading.ok);
      if (first === undefined) {
        return { ok: true, value: readings.flatMap((reading) => (reading.ok ? [reading.value] : [])) };
      }
      const { culprit, reason, mend } = first;
      return {
        ok: false,
        culprit,
        ...(reason !== undefined && { reason }),
        ...(mend !== undefined && { mend }),
        others: others.map((other) => ({
          ok: false as const,
          culprit: other.culprit,
          ...(other.reason !== undefined && { reason: other.reason }),
        })),
      };
    },
  };
}
