// The file that Auth_Users names: the credentials document that `npm run credential` prints, one name or many.
// What is wrong with it is told with its line and the mend. Nothing here throws.

import { parseCredentials } from '../../shared/access/credentials.ts';
import { createPasswordVerifier, type KnownUsers } from '../../shared/access/password.ts';

export type UsersResult =
  | { readonly ok: true; readonly verifier: KnownUsers }
  | {
      readonly ok: false;
      /** From 1. */
      readonly line: number;
      /** What is wrong, without a full stop. */
      readonly message: string;
      /** What to write instead, without a full stop. */
      readonly mend: string;
    };

export function readUsers(text: string): UsersResult {
  const broken = jsonFault(text);
  if (broken !== undefined) return { ok: false, ...broken, mend: WHOLE_MEND };
  const parsed = parseCredentials(text);
  if (!parsed.ok) {
    const { what, name } = parsed;
    if (name === undefined) return { ok: false, line: 1, message: what, mend: WHOLE_MEND };
    return {
      ok: false,
      line: lineOf(text, text.indexOf(JSON.stringify(name))),
      message: what,
      mend: ENTRY_MEND,
    };
  }
  if (parsed.hashes.size === 0) {
    const line = lineOf(text, text.indexOf('"credentials"'));
    return { ok: false, line, message: 'it names nobody', mend: WHOLE_MEND };
  }
  return { ok: true, verifier: createPasswordVerifier(parsed.hashes) };
}

const WHOLE_MEND =
  'write {"credentials":{"NAME":"scrypt$…"}}, as npm run --silent credential -- NAME prints it';

const ENTRY_MEND = 'take the name and its hash from npm run --silent credential -- NAME';

function jsonFault(text: string): { readonly line: number; readonly message: string } | undefined {
  if (goesOn(text) === 'whole') return undefined;
  // Not every message of V8 tells the place: it is the first line with which no continuation could be JSON.
  const lines = text.trimEnd().split('\n');
  const broken = lines.findIndex((_, index) => goesOn(lines.slice(0, index + 1).join('\n')) === 'broken');
  if (broken >= 0) return { line: broken + 1, message: 'it is not JSON' };
  return { line: lines.length, message: 'it ends too early' };
}

function goesOn(text: string): 'whole' | 'unfinished' | 'broken' {
  try {
    JSON.parse(text);
    return 'whole';
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (/end of JSON input|Unterminated string/.test(message)) return 'unfinished';
    const position = /at position (\d+)/.exec(message)?.[1];
    return position !== undefined && Number(position) >= text.length ? 'unfinished' : 'broken';
  }
}

/** 1 when the place is unknown. */
function lineOf(text: string, at: number): number {
  return text.slice(0, Math.max(at, 0)).split('\n').length;
}
