// One JSON object out of octets that came from outside: valid UTF-8 (RFC 8259 §8.1), one object, nested at most
// MAX_JSON_DEPTH deep, which is looked at before the parser spends time and memory on the nesting. Of a name that
// stands twice the last one counts. Throws nothing.

import { isUtf8 } from 'node:buffer';
import { MAX_JSON_DEPTH } from './limits.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export type ParsedObject =
  | { readonly ok: true; readonly object: JsonObject }
  /** Completes a sentence that begins with what was parsed. */
  | { readonly ok: false; readonly fault: string };

export function parseJsonObject(octets: Buffer): ParsedObject {
  if (!isUtf8(octets)) return { ok: false, fault: 'is not valid UTF-8' };
  if (nestsDeeper(octets, MAX_JSON_DEPTH)) {
    return { ok: false, fault: `nests deeper than ${MAX_JSON_DEPTH} levels` };
  }
  let value: unknown;
  try {
    value = JSON.parse(octets.toString('utf8'));
  } catch {
    return { ok: false, fault: 'is not JSON' };
  }
  return isObject(value) ? { ok: true, object: value } : { ok: false, fault: 'is JSON, but not an object' };
}

/** A JSON object, neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Counts brackets outside of strings; what is no JSON at all may be misjudged, and is refused either way. */
function nestsDeeper(octets: Buffer, most: number): boolean {
  let depth = 0;
  for (let i = 0; i < octets.length; i += 1) {
    const octet = octets[i];
    if (octet === QUOTE) {
      i = endOfString(octets, i + 1);
    } else if (octet === 0x7b || octet === 0x5b) {
      depth += 1;
      if (depth > most) return true;
    } else if (octet === 0x7d || octet === 0x5d) {
      depth -= 1;
    }
  }
  return false;
}

/** Index of the closing quote, or the end. Searches, since a string may hold megabytes of content. */
function endOfString(octets: Buffer, from: number): number {
  for (let at = octets.indexOf(QUOTE, from); at >= 0; at = octets.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (octets[at - 1 - backslashes] === BACKSLASH && at - 1 - backslashes >= from) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return octets.length;
}
