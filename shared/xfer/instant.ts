// Instants as the wire writes them: RFC 3339, the strict profile of ISO 8601, upper-case T and Z, with an offset.

const PATTERN = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970, finer digits cut off; undefined for anything else, 30 February and 24:00 included. */
export function parseInstant(text: string): number | undefined {
  const parts = PATTERN.exec(text);
  if (parts === null || text.startsWith('T24', 10)) return undefined;
  const [, year, month, day] = parts.map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** `2026-11-22T10:00:00.000Z`. */
export function formatInstant(atMs: number): string {
  return new Date(atMs).toISOString();
}
