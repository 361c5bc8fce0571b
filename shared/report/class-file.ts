// An operator's rules, in the format of KumoMTA's bounce classifier: TOML, a table `rules` that gives each class a list
// of patterns. Beside a pattern, a table may ask for code, enhanced status or stage:
//
//   [rules]
//   QuotaIssues = ["^552.+storage", { pattern = "full", code = "45", status = "2.0", stage = "rcpt" }]
//
// Everything that is wrong is reported together, each with its rule and what to write instead.

import { parse, TomlError } from 'smol-toml';
import * as z from 'zod/mini';
import { nearestName } from '../config/nearest.ts';
import { isReplyClassName, REPLY_CLASSES } from './class-names.ts';
import type { CompiledRule } from './class-of-reply.ts';
import { readPattern } from './class-pattern.ts';

export interface ReplyClassFault {
  readonly file: string;
  /** `rules.QuotaIssues[2]`, the list counted from 1; absent when the file could not be read that far. */
  readonly rule?: string;
  readonly message: string;
  readonly mend: string;
}

export type ReplyClassFile =
  | { readonly kind: 'rules'; readonly rules: readonly CompiledRule[] }
  | { readonly kind: 'faults'; readonly faults: readonly ReplyClassFault[] };

/** `file: rules.Class[n]: what is wrong; what to write`. */
export function formatReplyClassFault({ file, rule, message, mend }: ReplyClassFault): string {
  return `${file}: ${rule === undefined ? '' : `${rule}: `}${message}; ${mend}`;
}

/** `file` is its name, for faults. */
export function readReplyClasses(text: string, file: string): ReplyClassFile {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [why = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    const message = `line ${error.line}, column ${error.column}: ${why}`;
    return { kind: 'faults', faults: [{ file, message, mend: 'mend the TOML' }] };
  }
  const faults: ReplyClassFault[] = [];
  const rules: CompiledRule[] = [];
  const report = (message: string, mend: string, rule?: string) => {
    faults.push({ file, ...(rule === undefined ? {} : { rule }), message, mend });
  };

  const top = z.record(z.string(), z.unknown()).safeParse(document).data ?? {};
  for (const name of Object.keys(top).filter((name) => name !== 'rules')) {
    report(`${name} is not known`, 'keep to the table [rules]');
  }
  const table = z.record(z.string(), z.unknown()).safeParse(top['rules']);
  if (!table.success) report('has no table [rules]', 'write [rules], and below it Class = ["pattern"]');
  for (const [name, list] of Object.entries(table.data ?? {})) {
    const rule = `rules.${name}`;
    const meant = isReplyClassName(name) ? undefined : nearestName(name, REPLY_CLASSES);
    if (meant !== undefined)
      report(`${name} is no class`, `write ${meant}, or a name that is less like it`, rule);
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) report('is no name', 'use letters, digits and _', rule);
    if (!Array.isArray(list)) {
      report('is no list', `write ${name} = ["pattern"]`, rule);
      continue;
    }
    for (const [index, entry] of list.entries()) {
      const found = readRule(name, entry);
      if ('message' in found) report(found.message, found.mend, `${rule}[${index + 1}]`);
      else rules.push(found);
    }
  }
  return faults.length === 0 ? { kind: 'rules', rules } : { kind: 'faults', faults };
}

const CONDITIONS = z.strictObject({
  pattern: z.optional(z.string()),
  code: z.optional(z.string().check(z.regex(/^[45]\d{0,2}$/))),
  status: z.optional(z.string().check(z.regex(/^\d{1,3}\.(?:\d{1,3})?$/))),
  stage: z.optional(
    z.enum(['connect', 'greeting', 'ehlo', 'starttls', 'mail', 'rcpt', 'data', 'content', 'final']),
  ),
});

const ASKS = new Map([
  ['code', 'code is "4", "55" or "550": the basic code or how it begins'],
  ['status', 'status is "1.1", or "7." for every status of that subject'],
  ['stage', 'stage is connect, greeting, ehlo, starttls, mail, rcpt, data, content or final'],
  ['pattern', 'pattern is a regular expression, in quotes'],
]);

function readRule(
  name: string,
  entry: unknown,
): CompiledRule | { readonly message: string; readonly mend: string } {
  const conditions = CONDITIONS.safeParse(typeof entry === 'string' ? { pattern: entry } : entry);
  if (!conditions.success) {
    const key = String(conditions.error.issues[0]?.path[0] ?? '');
    return {
      message: 'is no rule',
      mend: ASKS.get(key) ?? 'write "pattern", or { pattern, code, status, stage }',
    };
  }
  const { pattern, code, status, stage } = conditions.data;
  if (pattern === undefined && code === undefined && status === undefined && stage === undefined) {
    return { message: 'fits every reply', mend: 'give it a pattern, code, status or stage' };
  }
  const read = pattern === undefined ? undefined : readPattern(pattern);
  if (read?.kind === 'fault') return { message: `"${pattern}" ${read.message}`, mend: read.mend };
  return {
    class: name,
    ...(read === undefined ? {} : { expression: read.expression }),
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { status }),
    ...(stage === undefined ? {} : { stage }),
  };
}
