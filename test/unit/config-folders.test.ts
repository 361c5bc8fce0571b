// Configurations in files and folders of this machine, as the programs read them.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { evaluate } from '../../shared/config/evaluate.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import { readConfigurationFiles, readSendingFiles } from '../../shared/files/configuration-files.ts';

/** Files by their names; a name that ends with / is a folder. */
function folderWith(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'config-folders-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    if (name.endsWith('/')) mkdirSync(join(folder, name), { recursive: true });
    else writeFileSync(join(folder, name), text);
  }
  return folder;
}

function faultsIn(folder: string, ...names: string[]): string {
  const result = readConfigurationFiles(names.map((name) => join(folder, name)));
  return result.ok ? '' : result.faults.join('\n').replaceAll(`${folder}/`, '');
}

test('an included folder is its .conf files in the order of their names, the later ones win', (t) => {
  const folder = folderWith(t, {
    'main.conf': 'HTTP_URI = "/main"\ninclude "conf.d"\n',
    'conf.d/': '',
    'conf.d/10-first.conf': 'HTTP_URI = "/first"\nInstance = one\n',
    'conf.d/20-second.conf': 'HTTP_URI = "/second"\n',
    'conf.d/README': 'no configuration at all {',
    'conf.d/.hidden.conf': 'no configuration at all {',
    'conf.d/folder.conf/': '',
  });
  const result = readConfigurationFiles([join(folder, 'main.conf')]);
  assert.ok(result.ok);
  assert.equal(evaluate(result.configuration, OPTIONS.HTTP_URI), '/second');
  assert.equal(evaluate(result.configuration, OPTIONS.Instance), 'one');
  assert.deepEqual(
    result.sources.map(({ path }) => path.slice(folder.length + 1)),
    ['main.conf', 'conf.d/10-first.conf', 'conf.d/20-second.conf'],
  );
});

test('a path begins where the file that includes it is, and a folder may stand within a stanza', (t) => {
  const folder = folderWith(t, {
    'main.conf': 'include "a/a.conf"',
    'a/': '',
    'a/a.conf': 'Domain x.test { readonly_include "b" }',
    'a/b/': '',
    'a/b/b.conf': 'HTTP_URI = "/b"',
  });
  const result = readConfigurationFiles([join(folder, 'main.conf')]);
  assert.ok(result.ok);
  assert.equal(evaluate(result.configuration, OPTIONS.HTTP_URI, { domain: 'x.test' }), '/b');
});

test('what cannot be included is told where it is included', (t) => {
  const folder = folderWith(t, {
    'main.conf': `include "gone.conf"
include "empty"
include "main.conf/x"
include "loop.conf"
include "holds"
`,
    'empty/': '',
    'holds/': '',
  });
  symlinkSync('loop.conf', join(folder, 'loop.conf'));
  symlinkSync('../gone', join(folder, 'holds/a.conf'));
  assert.equal(
    faultsIn(folder, 'main.conf'),
    `main.conf:1:9: the included file "gone.conf" is not there
    include "gone.conf"
            ^^^^^^^^^^^
main.conf:2:9: the included file "empty" is a folder without a file that ends in .conf
    include "empty"
            ^^^^^^^
main.conf:3:9: the included file "main.conf/x" has a file where a folder should be
    include "main.conf/x"
            ^^^^^^^^^^^^^
main.conf:4:9: the included file "loop.conf" is a link that leads to itself
    include "loop.conf"
            ^^^^^^^^^^^
main.conf:5:9: the included file "holds" is a folder, and holds/a.conf is not there
    include "holds"
            ^^^^^^^`,
  );
});

test('files that include each other are shown link by link, over a folder as well', (t) => {
  const folder = folderWith(t, {
    'main.conf': '# the first line\ninclude "a.conf"\n',
    'a.conf': 'include "d"\n',
    'd/': '',
    'd/b.conf': '\n\ninclude "../a.conf"\n',
  });
  assert.equal(
    faultsIn(folder, 'main.conf'),
    `d/b.conf:3:9: these files include each other: a.conf:1 → d/b.conf:3 → a.conf; take one of the includes out
    include "../a.conf"
            ^^^^^^^^^^^`,
  );
});

test('a folder, a missing file and an enormous one are no configurations', (t) => {
  const folder = folderWith(t, { 'd/': '', 'big.conf': Buffer.alloc(5_000_000, 35) });
  assert.equal(
    faultsIn(folder, 'd', 'gone.conf', 'big.conf'),
    'd is a folder\ngone.conf is not there\nbig.conf is larger than 1 MiB',
  );
});

test('a binary file, one in UTF-16 and one in Latin-1 are told apart from text', (t) => {
  const folder = folderWith(t, {
    'binary.conf': Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0x00, 0x00, 0x0a, 0x3d]),
    'utf16.conf': Buffer.from('\uFEFFTLS = no\n', 'utf16le'),
    'latin1.conf': Buffer.from('# Grüße\nMailerdaemon = "gr\xfc\xdfe@example.com"\n', 'latin1'),
  });
  assert.equal(
    faultsIn(folder, 'binary.conf', 'utf16.conf', 'latin1.conf'),
    `binary.conf:1:7: this is no text file: it holds a NUL character; save it as text, in UTF-8
    ␡ELF␂␁␀␀
          ^
utf16.conf:1:4: this is no text file: it holds a NUL character; save it as text, in UTF-8
    ��T␀L␀S␀ ␀=␀ ␀n␀o␀
       ^
latin1.conf:2:19: this is not UTF-8; save the file as UTF-8
    Mailerdaemon = "gr��e@example.com"
                      ^`,
  );
});

test('two files that include a third one twice each have an end', (t) => {
  const twice = (name: string): string => `include "${name}"\ninclude "${name}"\n`;
  const files: Record<string, string> = { 'f14.conf': 'TLS = no' };
  for (let index = 0; index < 14; index += 1) files[`f${index}.conf`] = twice(`f${index + 1}.conf`);
  const folder = folderWith(t, files);
  assert.match(faultsIn(folder, 'f0.conf'), /more than 1000 files are included/);
});

test('the sidecar is told with its faults what would lose mail', (t) => {
  const folder = folderWith(t, {
    'main.conf': `Delayed_Reroute_Domain = "xfer.test"
Domain xfer.test {
  Delivery_Method = "delay_xfer"
  Max_Retries = "none"
  Routes = ( "xfer://abc123.execute-api.eu-west-1.amazonaws.com?port=443&sigv4=1" )
  HTTP_HOST = "localhost"
}
`,
  });
  const result = readSendingFiles([join(folder, 'main.conf')]);
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map((warning) => warning.slice(folder.length + 1)),
    [
      'main.conf:6: the API at abc123.execute-api.eu-west-1.amazonaws.com answers 403 to HTTP_HOST = "localhost", ' +
        'and every message stays with its MTA; take HTTP_HOST out, and the host of the route is sent',
    ],
  );
});
