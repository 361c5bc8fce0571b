import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../shared/config/fault.ts';
import { lex } from '../../shared/config/lexer.ts';
import { type Entry, parseSyntax } from '../../shared/config/syntax.ts';

// The tree without places, as a person would write it down.
function outline(entries: readonly Entry[]): unknown[] {
  return entries.map((entry) => {
    if (entry.kind === 'include') return { include: entry.path.text };
    if (entry.kind === 'stanza') return [entry.keyword, entry.name?.text, outline(entry.entries)];
    const { name, value } = entry;
    return { [name]: value.kind === 'list' ? value.items.map((item) => item.text) : value.text };
  });
}

function faultsOf(text: string): string[] {
  return parseSyntax({ path: 'x.conf', text }).faults.map(formatFault);
}

test('statements may share a line, commas in lists are optional and comments are skipped', () => {
  const text = `# global
Message_Expiration = 432000 /* five
  days */ Domain gmail.com { TLS = "required"  Max_Outbound_Connections = 20 } # end
Relay_Hosts = ( "127.0.0.0/8", 10.0.0.1
  '::1' )
include "more.conf"
Listen ":8080" {}`;
  const { entries, faults } = parseSyntax({ path: 'x.conf', text });
  assert.deepEqual(faults, []);
  assert.deepEqual(outline(entries), [
    { Message_Expiration: '432000' },
    ['Domain', 'gmail.com', [{ TLS: 'required' }, { Max_Outbound_Connections: '20' }]],
    { Relay_Hosts: ['127.0.0.0/8', '10.0.0.1', '::1'] },
    { include: 'more.conf' },
    ['Listen', ':8080', []],
  ]);
});

test('in double quotes only \\" and \\\\ are escapes, so that a regular expression keeps its backslashes', () => {
  const { tokens } = lex({ path: 'x.conf', text: String.raw`"/a\.b\\c\"d/" 'e\"f#g'` });
  assert.deepEqual(
    tokens.map((token) => token.text),
    [String.raw`/a\.b\c"d/`, String.raw`e\"f#g`, ''],
  );
});

test('a token knows its line and column, also after tabs, comments and CRLF line ends', () => {
  const { tokens } = lex({ path: 'x.conf', text: '\uFEFF/* a\r\n b */\tFoo = \r\n  "bar"' });
  assert.deepEqual(
    tokens.map(({ kind, place }) => [kind, place.line, place.column, place.lengthChars]),
    [
      ['word', 2, 7, 3],
      ['=', 2, 11, 1],
      ['string', 3, 3, 5],
      ['end', 3, 8, 1],
    ],
  );
  assert.equal(tokens[0]?.place.excerpt, ' b */\tFoo = ');
});

test('a fault shows file, line, column, the line itself and carets below the culprit', () => {
  assert.deepEqual(faultsOf('ok = 1\n\tFoo Bar Baz = 2\n'), [
    'x.conf:2:2: "Foo" is followed by "Bar"; write name = value or Kind "name" { … }\n' +
      '    \tFoo Bar Baz = 2\n' +
      '    \t^^^',
  ]);
});

test('every slip of a file is reported, and the statements between them are still read', () => {
  const text = `Host_Failure_Retry
A = 1
B =
C = 2
Domain x.test {
  Routes = ( "xfer://a" 
  D = 3
}
URI = xfer://host?port=1
E = "open
F = 4;
}
Domain y.test {`;
  const { entries, faults } = parseSyntax({ path: 'x.conf', text });
  assert.deepEqual(
    faults.map((fault) => `${fault.place.line}:${fault.place.column} ${fault.message}`),
    [
      '1:1 "Host_Failure_Retry" is followed by "A"',
      '3:1 "B" has no value',
      '6:12 this list is not closed before "D"',
      '9:23 a bare value cannot hold =',
      '10:5 this quotation is not closed on its line',
      '11:6 a statement takes no semicolon',
      '12:1 this } closes nothing',
      '13:15 this { is never closed',
    ],
  );
  assert.deepEqual(outline(entries), [
    { A: '1' },
    { C: '2' },
    ['Domain', 'x.test', [{ D: '3' }]],
    { E: 'open' },
    { F: '4' },
    ['Domain', 'y.test', []],
  ]);
});

test('a comment that is never closed is a fault at its beginning', () => {
  assert.deepEqual(faultsOf('A = 1 /* and so on\nB = 2'), [
    'x.conf:1:7: this comment is never closed with */\n    A = 1 /* and so on\n          ^^',
  ]);
});

test('no text makes the reader throw or hang', () => {
  const pieces = [
    '{',
    '}',
    '(',
    ')',
    '=',
    ',',
    '"',
    "'",
    'a',
    '\n',
    '/*',
    '#',
    ';',
    '\\',
    ' include ',
    '\u0000',
  ];
  let seed = 7;
  for (let round = 0; round < 3_000; round += 1) {
    let text = '';
    for (let piece = 0; piece < 12; piece += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      text += pieces[seed % pieces.length] ?? '';
    }
    parseSyntax({ path: 'x.conf', text }).faults.map(formatFault);
  }
});
