// Draws configurations that are right: statements out of the option table, with values that each option takes, and a
// layout of white space, comments, quotation marks and letter case that means nothing.

import type { Option } from '../../shared/config/option.ts';
import { OPTIONS_BY_NAME } from '../../shared/config/options.ts';
import { type StanzaKind, TOP, type Where, within } from '../../shared/config/stanzas.ts';
import type { Draw } from './draw.ts';

export type Role =
  | 'option'
  | 'value'
  | 'item'
  | 'kind'
  | 'name'
  | '='
  | '{'
  | '}'
  | '('
  | ')'
  | ','
  | 'include';

export interface Piece {
  readonly role: Role;
  /** As it is meant, without quotation marks. */
  readonly text: string;
  readonly option?: Option<unknown>;
  /** Of what it stands in: an option, or a brace. */
  readonly where: Where;
}

/** The password in drawn credentials: nothing that is told holds it. */
export const PASSWORD = 'hunter2';

export function drawConfiguration(draw: Draw): readonly Piece[] {
  const pieces: Piece[] = [];
  drawEntries(draw, pieces, TOP, draw.below(12), 0);
  return pieces;
}

function drawEntries(draw: Draw, pieces: Piece[], where: Where, count: number, depth: number): void {
  const options = [...OPTIONS_BY_NAME.values()].filter(
    ({ scopes }) => where.scope !== undefined && scopes.includes(where.scope),
  );
  for (let left = count; left > 0; left -= 1) {
    const kind = where.stanzas.length > 0 && draw.chance(0.4) ? draw.pick(where.stanzas) : undefined;
    if (kind !== undefined) drawStanza(draw, pieces, where, kind, depth);
    else if (options.length > 0) drawAssignment(draw, pieces, where, draw.pick(options));
  }
}

function drawStanza(draw: Draw, pieces: Piece[], where: Where, kind: StanzaKind, depth: number): void {
  const name = nameFor(draw, kind);
  pieces.push({ role: 'kind', text: kind, where });
  if (name !== undefined) pieces.push({ role: 'name', text: name, where });
  pieces.push({ role: '{', text: '{', where });
  const inner = within(kind);
  // A listener without any Listen is a fault.
  if (inner.stanzas.includes('Listen')) drawStanza(draw, pieces, inner, 'Listen', depth + 1);
  drawEntries(draw, pieces, inner, draw.below(depth > 2 ? 2 : 5), depth + 1);
  pieces.push({ role: '}', text: '}', where });
}

let bindings = 0;

function nameFor(draw: Draw, kind: StanzaKind): string | undefined {
  switch (kind) {
    case 'Domain':
    case 'Host':
      return draw.pick([
        'a.test',
        'B.Test.',
        'bücher.example',
        'xn--bcher-kva.example',
        '192.0.2.1',
        '[IPv6:2001:db8::1]',
        '/(^|[.])example[.](com|net)$/',
        String.raw`/^a\.b"c'd\\$/`,
      ]);
    case 'Binding':
      bindings += 1;
      return `binding ${bindings}`;
    case 'Binding_Group':
    case 'Scriptlet':
    case 'Script':
      return draw.pick(['a', 'b', 'with space', 'ü']);
    case 'Listen':
      return draw.pick([':8080', '127.0.0.1:25', '[::1]:0', '*:25', 'localhost:2525']);
    case 'ESMTP_Listener':
    case 'LMTP_Listener':
    case 'HTTP_Listener':
      return undefined;
  }
}

function drawAssignment(draw: Draw, pieces: Piece[], where: Where, option: Option<unknown>): void {
  pieces.push({ role: 'option', text: option.name, option, where }, { role: '=', text: '=', where });
  const isList = LISTS.has(option.name);
  if (!isList || draw.chance(0.3)) {
    pieces.push({ role: 'value', text: drawValue(draw, option), option, where });
    return;
  }
  pieces.push({ role: '(', text: '(', where });
  for (let left = draw.below(4); left > 0; left -= 1) {
    pieces.push({ role: 'item', text: drawValue(draw, option), option, where });
    if (draw.chance(0.3)) pieces.push({ role: ',', text: ',', where });
  }
  pieces.push({ role: ')', text: ')', where });
}

const LISTS: ReadonlySet<string> = new Set(['Routes', 'Relay_Hosts', 'Skip_Hosts', 'Prohibited_Hosts']);

/** What no table of words or range of numbers tells. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  Reroute_Domain: ['xfer.test', 'disabled', 'bücher.example'],
  Delayed_Reroute_Domain: ['xfer.test', 'disabled'],
  HTTP_URI: ['/', '/delay_message', '/a/b;c=d,e'],
  HTTP_HOST: ['localhost', 'a.test:8080', '[::1]:80'],
  HTTP_Basic_Auth: [`user:${PASSWORD}`, `u:${PASSWORD} with = and "`, `u:'${PASSWORD}'`],
  Instance: ['mx1', '1', '#1'],
  Routes: ['xfer://10.0.0.1?port=8080', 'smtp://[::1]:587', '__mx__', 'relay.internal?pref=1&type=mx'],
  Gateway: ['10.0.0.1', '[fe80::a00]:1', 'my.local.smart.host'],
  Skip_Hosts: ['10.0.0.0/8', '::1', '192.0.2.1'],
  Prohibited_Hosts: ['127.0.0.0/8', '0.0.0.0'],
  Relay_Hosts: ['10.0.0.0/8', 'fd00::/8'],
  Bind_Address: ['*', '192.0.2.1', '2001:db8::1'],
  EHLO_Hostname: ['mx.test', 'out_1.test'],
  Rollup_MX_Name: ['a.test'],
  Max_Retries: ['auto', 'NONE', '0', '10000'],
  Outbound_Throttle_Messages: ['0', '1', '100/60'],
  Outbound_Throttle_Connections: ['1/60'],
  TLS_CA: ['ca.pem', '/etc/ssl/ca certificates.pem'],
  TLS_Protocols: ['+ALL', '+ALL:-SSLv2:-SSLv3', 'TLSv1.2'],
  TLS_Ciphers: ['DEFAULT:!LOW', 'HIGH:!aNULL'],
  TLS_Certificate: ['c.pem'],
  TLS_Key: ['k.pem'],
  Auth_Users: ['users.json'],
  Metrics_Listen: ['127.0.0.1:9325', '[::1]:0'],
  Mailerdaemon: ['mailer-daemon@example.com', '"a b"@example.com'],
  Reply_Classes: ['rules.json'],
  Response_Transcode_Pattern: ["454 no such user ('.*')", '^4.. {2}', String.raw`\d+ "x"`],
  Response_Transcode_Replace: ['554 no such user $1', ''],
  source: ['msys.xfer.server', 'msys.other'],
};

export function drawValue(draw: Draw, option: Option<unknown>): string {
  const { takes } = option.type;
  const listed = VALUES[option.name];
  if (listed !== undefined) return draw.pick(listed);
  const range = /^a whole number from (\d+) to (\d+)$/.exec(takes);
  if (range !== null) {
    const [least, most] = [Number(range[1]), Number(range[2])];
    return String(draw.pick([least, most, least + draw.below(most - least + 1)]));
  }
  if (takes === 'true or false') return draw.pick(['true', 'FALSE', 'yes', 'No', 'on', 'off', '1', '0']);
  const words = [...takes.matchAll(/"([^"]+)"/g)].map(([, word = '']) => word);
  if (words.length === 0) throw new Error(`no value is known for ${option.name}, which takes ${takes}`);
  const word = draw.pick(words);
  return draw.chance(0.2) ? word.toUpperCase() : word;
}

export interface Laid {
  readonly text: string;
  /** Where each piece begins, with its quotation mark. */
  readonly offsets: readonly number[];
}

/** With white space and comments between the pieces, and in any of the ways that mean the same. */
export function layOut(draw: Draw, pieces: readonly Piece[]): Laid {
  const lineEnd = draw.pick(['\n', '\n', '\r\n']);
  const offsets: number[] = [];
  let text = draw.chance(0.1) ? '\uFEFF' : '';
  const mark = text.length;
  for (const [index, piece] of pieces.entries()) {
    const before = pieces[index - 1];
    text += gap(draw, lineEnd, before, piece, index === 0);
    offsets.push(text.length - mark);
    text += written(draw, piece);
  }
  return { text: `${text}${draw.pick(['', lineEnd, ` # the end${lineEnd}`])}`, offsets };
}

function gap(draw: Draw, lineEnd: string, before: Piece | undefined, piece: Piece, isFirst: boolean): string {
  // A value stays on the line of its name, which would otherwise seem to have none.
  const sameLine = piece.role === 'value' || before?.role === 'kind' || before?.role === 'include';
  const places = [' ', '\t', '  ', ' /* c = { */', ' /* é */ '];
  const breaks = [
    lineEnd,
    `${lineEnd}  `,
    ` # a } comment "${lineEnd}`,
    ` /* over${lineEnd}lines */${lineEnd}`,
  ];
  const isStatement = piece.role === 'option' || piece.role === 'kind' || piece.role === 'include';
  if (isStatement && !isFirst) return draw.chance(0.8) ? draw.pick(breaks) : draw.pick(places);
  const drawn = !sameLine && draw.chance(0.2) ? draw.pick(breaks) : draw.pick(places);
  const isTight = !isWord(before) || !isWord(piece);
  return isTight && draw.chance(0.3) ? '' : drawn;
}

function isWord(piece: Piece | undefined): boolean {
  return piece !== undefined && piece.text.length !== 1 ? true : /[^={}(),]/.test(piece?.text ?? '');
}

/** As one of the ways to write it. */
export function written(draw: Draw, { role, text }: Piece): string {
  if (role === 'option' || role === 'kind' || role === 'include') {
    return draw.weighted([
      [6, text],
      [1, text.toLowerCase()],
      [1, text.toUpperCase()],
    ]);
  }
  if (role !== 'value' && role !== 'item' && role !== 'name') return text;
  const ways = [`"${text.replaceAll(/\\(?=["\\]|$)|"/g, '\\$&')}"`];
  if (!text.includes("'")) ways.push(`'${text}'`);
  if (/^[^\s{}()=,"'#;]+$/.test(text) && !/^\/\*|^[[\]]$|\/$/.test(text)) ways.push(text);
  return draw.pick(ways);
}
