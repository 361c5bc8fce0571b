// One assignment against the option table: the setting that it makes, or what is wrong with it.

import type { Setting } from './configuration.ts';
import { type Fault, formatPlace, type Place, shown } from './fault.ts';
import { isIdleInListener, whyIgnored } from './momentum-names.ts';
import { nearestName } from './nearest.ts';
import { OPTIONS_BY_NAME, type Option } from './options.ts';
import { placesOfOption, type Where } from './stanzas.ts';
import type { Assignment, Scalar, Value } from './syntax.ts';
import type { Reading } from './value-types.ts';

export type AssignmentReading =
  | { readonly kind: 'setting'; readonly setting: Setting; readonly warning?: string }
  /** Momentum's, and of no part here. */
  | { readonly kind: 'ignored'; readonly warning: string }
  | { readonly kind: 'faults'; readonly faults: readonly Fault[] };

export function readAssignment(assignment: Assignment, where: Where): AssignmentReading {
  const option = OPTIONS_BY_NAME.get(assignment.name.toLowerCase());
  if (option === undefined) {
    const why = whyIgnored(assignment.name) ?? ownOfScript(assignment.name, where);
    return why === undefined
      ? { kind: 'faults', faults: [unknown(assignment.place, 'option', assignment.name, optionNames())] }
      : { kind: 'ignored', warning: why };
  }
  if (where.scope === 'listener' && isIdleInListener(option.name)) {
    return { kind: 'ignored', warning: `${option.name} has no effect in a listener: it is about deliveries` };
  }
  if (where.scope === undefined || !option.scopes.includes(where.scope)) {
    const message = `${option.name} cannot stand ${where.told}`;
    const mend = `it belongs ${placesOfOption(option)}`;
    return { kind: 'faults', faults: [{ place: assignment.place, message, mend }] };
  }
  const long = tooLong(assignment.value);
  if (long !== undefined) {
    const message = `${option.name}: a value of ${long.text.length} characters`;
    const mend = `write at most ${MAX_VALUE_CHARS}`;
    return { kind: 'faults', faults: [{ place: long.place, message, mend }] };
  }
  const reading = option.type.read(assignment.value);
  if (!reading.ok) {
    const wrong = [reading, ...(reading.others ?? [])];
    return { kind: 'faults', faults: wrong.map((each) => valueFault(option, assignment, each)) };
  }
  const { place, value } = assignment;
  const without = option.withoutEffect;
  return {
    kind: 'setting',
    setting: { option, value, place },
    ...(typeof without === 'string' && { warning: `${option.name} has no effect: ${without}` }),
  };
}

function ownOfScript(name: string, { scope }: Where): string | undefined {
  const isSlip = nearestName(name, [OPTIONS_BY_NAME.get('source')?.name ?? '']) !== undefined;
  return scope === 'script' && !isSlip ? `${name} has no effect: it is the script's own` : undefined;
}

/** What a second value for an option in one place is warned of; undefined when it says the same. */
export function changeOf(earlier: Setting | undefined, later: Setting): string | undefined {
  if (earlier === undefined || textOf(earlier.value) === textOf(later.value)) return undefined;
  return `${later.option.name} was set to another value at ${formatPlace(earlier.place)}; this one counts`;
}

export function unknown(place: Place, what: string, name: string, known: readonly string[]): Fault {
  const nearest = nearestName(name, known);
  const message = `unknown ${what} ${shown(name)}`;
  return nearest === undefined ? { place, message } : { place, message, mend: `did you mean ${nearest}?` };
}

/** What an option takes, with its unit: "a whole number of seconds from 1 to 600". */
export function takesOf(option: Option<unknown>): string {
  const { takes } = option.type;
  return option.unit === undefined
    ? takes
    : takes.replace(/whole number (?=from)/, `whole number of ${option.unit} `);
}

/** Nothing that is named here is longer, and no type has to look for its end. */
const MAX_VALUE_CHARS = 10_000;

function tooLong(value: Value): Scalar | undefined {
  const items = value.kind === 'list' ? value.items : [value];
  return items.find(({ text }) => text.length > MAX_VALUE_CHARS);
}

function valueFault(
  option: Option<unknown>,
  assignment: Assignment,
  { culprit, reason, mend }: Reading<unknown> & { ok: false },
): Fault {
  if (option.secret) return { place: assignment.place, message: `${option.name} takes ${takesOf(option)}` };
  const written = culprit.kind === 'list' ? 'a list' : shown(culprit.text);
  const message =
    reason === undefined
      ? `${option.name} takes ${takesOf(option)}, not ${written}`
      : `${option.name}: ${reason}`;
  const told = mend ?? (culprit.kind === 'scalar' ? numberMeant(option, culprit) : undefined);
  return { place: culprit.place, message, ...(told === undefined ? {} : { mend: told }) };
}

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);

/** "write 300", where 5m was written for a number of seconds. */
function numberMeant(option: Option<unknown>, written: Scalar): string | undefined {
  const match = /^(\d{1,9})\s*([a-z]+)$/i.exec(written.text);
  const oneMs = UNIT_MS.get(match?.[2]?.toLowerCase() ?? '');
  const unitMs = option.unit === 'seconds' ? 1_000 : option.unit === 'milliseconds' ? 1 : undefined;
  if (oneMs === undefined || unitMs === undefined) return undefined;
  const meant = (Number(match?.[1]) * oneMs) / unitMs;
  return option.type.read({ ...written, text: String(meant) }).ok ? `write ${meant}` : undefined;
}

function optionNames(): readonly string[] {
  return [...OPTIONS_BY_NAME.values()].map((row) => row.name);
}

function textOf(value: Value): string {
  return value.kind === 'scalar' ? value.text : value.items.map((item) => item.text).join(' ');
}
