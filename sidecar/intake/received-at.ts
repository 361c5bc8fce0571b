// When the MTA took a message: the date-time of its own topmost `Received:` field (RFC 5321 §4.4: after the last
// semicolon), as RFC 5322 §3.3 and §4.3 write it. The clock of expiry starts there and not when the sidecar saw the
// message first. Only that field counts: the ones below were written by strangers. What cannot be read counts as
// absent.

/** The longest that mail is kept anywhere here; what is older has expired either way. */
const MAX_AGE_MS = 10 * 86_400_000;
/** A field that is longer is none that an MTA writes. */
const MAX_FIELD_BYTES = 8_192;

/** Milliseconds, within the last 10 days and not in the future; `nowMs` when the content does not say. */
export function receivedAtMs(head: Buffer, nowMs: number): number {
  const field = topmostReceived(head);
  const atMs = field === undefined ? undefined : dateOf(field);
  return atMs === undefined ? nowMs : Math.min(Math.max(atMs, nowMs - MAX_AGE_MS), nowMs);
}

/** Unfolded, without its name; undefined when there is none in the header. */
function topmostReceived(head: Buffer): string | undefined {
  for (let from = 0; from < head.length; ) {
    const end = endOfField(head, from);
    if (head[from] === CR || head[from] === LF) return undefined;
    const field = head.toString('latin1', from, Math.min(end, from + MAX_FIELD_BYTES));
    const value = /^Received[ \t]*:(.*)$/is.exec(field)?.[1];
    if (value !== undefined) return value.replaceAll(/\r?\n(?=[ \t])/g, '').trim();
    from = end;
  }
  return undefined;
}

const CR = 0x0d;
const LF = 0x0a;

/** Behind the line end that no folding follows; the head may end within a field. */
function endOfField(head: Buffer, from: number): number {
  for (let at = head.indexOf(LF, from); at >= 0; at = head.indexOf(LF, at + 1)) {
    const next = head[at + 1];
    if (next !== 0x20 && next !== 0x09) return at + 1;
  }
  return head.length;
}

function dateOf(field: string): number | undefined {
  const text = withoutComments(field);
  return parseDateTime(text.slice(text.lastIndexOf(';') + 1).trim());
}

/** A comment is a space (RFC 5322 §3.2.2); what is quoted is none, and a semicolon in either ends nothing. */
function withoutComments(text: string): string {
  let out = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (quoted || (character === '"' && depth === 0)) quoted = character === '"' ? !quoted : quoted;
    else if (character === '(') depth += 1;
    else if (character === ')' && depth > 0) depth -= 1;
    else if (depth === 0) out += character;
    if (depth > 0 && character === '(') out += ' ';
  }
  return out;
}

const DATE_TIME =
  /^(?:([a-z]{3})\s*,)?\s*(\d{1,2})\s+([a-z]{3})\s+(\d{2,4})\s+(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?(?:\.\d+)?(?:\s+(\S+))?$/i;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** RFC 5322 date-time with the obsolete forms of §4.3; undefined for anything else. */
export function parseDateTime(text: string): number | undefined {
  const match = DATE_TIME.exec(text);
  if (match === null) return undefined;
  const [, dayName, day = '', monthName = '', year = '', hour = '', minute = '', second = '0', zone] = match;
  const month = MONTHS.indexOf(monthName.toLowerCase());
  const offsetMinutes = zone === undefined ? undefined : zoneMinutes(zone);
  if (month < 0 || offsetMinutes === undefined) return undefined;
  if (dayName !== undefined && !DAYS.includes(dayName.toLowerCase())) return undefined;
  const fields = [fullYear(year), month, Number(day), Number(hour), Number(minute), Number(second)] as const;
  const [, , date, hours, minutes, seconds] = fields;
  // A leap second is the first one of the next minute.
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined;
  const atMs = Date.UTC(...fields);
  if (date < 1 || new Date(Date.UTC(fields[0], month, date)).getUTCDate() !== date) return undefined;
  return atMs - offsetMinutes * 60_000;
}

/** RFC 5322 §4.3: two digits up to 49 are of this century, three count from 1900. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length >= 4) return year;
  return text.length === 2 && year < 50 ? 2_000 + year : 1_900 + year;
}

/** RFC 5322 §4.3: a letter, and any other word, says no more than UTC. */
function zoneMinutes(zone: string): number | undefined {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(zone) ?? [];
  if (sign !== undefined) {
    if (Number(minutes) > 59) return undefined;
    return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  }
  if (!/^[a-z]{1,5}$/i.test(zone)) return undefined;
  return (OBSOLETE_ZONES.get(zone.toUpperCase()) ?? 0) * 60;
}

/** Hours east of UTC. */
const OBSOLETE_ZONES: ReadonlyMap<string, number> = new Map([
  ['EDT', -4],
  ['EST', -5],
  ['CDT', -5],
  ['CST', -6],
  ['MDT', -6],
  ['MST', -7],
  ['PDT', -7],
  ['PST', -8],
]);
