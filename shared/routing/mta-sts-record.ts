// The TXT record that says a domain has an MTA-STS policy, and which one (RFC 8461 §3.1).

/** `v=STSv1;` and nothing else: RFC 8461 §3.1, as its erratum 6285 settles the blank before the semicolon. */
const BEGINNING = 'v=STSv1;';

export type StsRecord =
  | { readonly kind: 'id'; readonly id: string }
  /** No record begins as one. */
  | { readonly kind: 'absent' }
  /** Several, or one that cannot be read: no policy can be discovered. */
  | { readonly kind: 'invalid'; readonly because: string };

/** `records` as DNS gave them for `_mta-sts.<domain>`, each in its character strings, which are joined. */
export function parseStsRecord(records: readonly (readonly string[])[]): StsRecord {
  const candidates = records.map((strings) => strings.join('')).filter((text) => text.startsWith(BEGINNING));
  const [record] = candidates;
  if (record === undefined) return { kind: 'absent' };
  if (candidates.length > 1) return { kind: 'invalid', because: `${candidates.length} records` };

  const fields = record.slice(BEGINNING.length).split(';').map(trimBlanks);
  // One delimiter may end the record.
  if (fields.at(-1) === '') fields.pop();
  const malformed = fields.find((field) => !FIELD.test(field));
  if (malformed !== undefined) return { kind: 'invalid', because: `field "${malformed}"` };
  const id = fields.find((field) => field.startsWith('id='))?.slice('id='.length);
  if (id === undefined) return { kind: 'invalid', because: 'no id' };
  if (!ID.test(id)) return { kind: 'invalid', because: `id "${id}"` };
  return { kind: 'id', id };
}

const FIELD = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/;
const ID = /^[A-Za-z0-9]{1,32}$/;

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}
