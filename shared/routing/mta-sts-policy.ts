// An MTA-STS policy (RFC 8461 §3.2): what a domain's file says, and which mail hosts it allows (§4.1).

import { domainToASCII } from 'node:url';

/** RFC 8461 §3.3. */
export const MAX_POLICY_BYTES = 65_536;
/** RFC 8461 §3.2, about a year; a longer life is cut to it. */
const MAX_AGE_SECONDS = 31_557_600;

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Lower-case A-labels, without a dot at the end; `*.` in front stands for exactly one label. */
  readonly mx: readonly string[];
  readonly maxAgeSeconds: number;
  /** The lines that count, as RFC 8460 §4.4 reports a policy: what was published, without the unknown fields. */
  readonly lines: readonly string[];
}

/** By hand: an expression that is anchored at the end alone takes the square of a stranger's blanks. */
function withoutBlanksBehind(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ' || line[end - 1] === '\t') end -= 1;
  return line.slice(0, end);
}

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'invalid'; readonly because: string };

/** Lines end with LF or CRLF. Unknown fields are passed over; of a repeated field other than `mx` the first counts. */
export function parseStsPolicy(text: string): ParsedPolicy {
  const first = new Map<string, string>();
  const mx: string[] = [];
  const lines: string[] = [];
  for (const line of text.split(/\r?\n/).map(withoutBlanksBehind)) {
    if (line === '') continue;
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    if (name === '') return invalid(`line "${clipped(line)}"`);
    if (name === 'mx') {
      const pattern = parsePattern(value);
      if (pattern === undefined) return invalid(`mx "${clipped(value)}"`);
      mx.push(pattern);
    } else {
      if (first.has(name)) continue;
      first.set(name, value);
    }
    if (KNOWN.has(name)) lines.push(`${name}: ${value}`);
  }

  if (first.get('version') !== 'STSv1') return invalid('version is not STSv1');
  const mode = MODES.find((known) => known === first.get('mode'));
  if (mode === undefined) return invalid(`mode "${clipped(first.get('mode') ?? '')}"`);
  const maxAge = first.get('max_age') ?? '';
  if (!/^\d{1,10}$/.test(maxAge)) return invalid(`max_age "${clipped(maxAge)}"`);
  // Without a host, `none` still says all that it has to say.
  if (mx.length === 0 && mode !== 'none') return invalid('no mx');
  const maxAgeSeconds = Math.min(Number(maxAge), MAX_AGE_SECONDS);
  return { kind: 'policy', policy: { mode, mx, maxAgeSeconds, lines } };
}

/** `host` as an MX record names it. */
export function allowsHost(patterns: readonly string[], host: string): boolean {
  const name = domainToASCII(host.replace(/\.$/, '')).toLowerCase();
  if (name === '') return false;
  const dot = name.indexOf('.');
  return patterns.some((pattern) =>
    pattern.startsWith('*.') ? dot > 0 && name.slice(dot + 1) === pattern.slice(2) : pattern === name,
  );
}

const FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*)$/;
const KNOWN: ReadonlySet<string> = new Set(['version', 'mode', 'mx', 'max_age']);
const MODES = ['enforce', 'testing', 'none'] as const;

function parsePattern(value: string): string | undefined {
  const name = value.toLowerCase().replace(/\.$/, '');
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  return labels.every((label) => LABEL.test(label)) && name.length <= 255 ? name : undefined;
}

/** With the underscore that some hosts have in their names. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

function invalid(because: string): ParsedPolicy {
  return { kind: 'invalid', because };
}

function clipped(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
