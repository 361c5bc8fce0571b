// Makes a Basic credential: `npm run --silent credential -- NAME`. Prints the credentials document with this one
// name to standard output, and the new password, which is stored nowhere, to standard error. A password of your
// own comes in by standard input, with `--stdin` after the name. Exit status 2 and a line on what is wrong
// otherwise.

import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { parseCredentials } from '../shared/access/credentials.ts';
import { hashPassword } from '../shared/access/password.ts';

const PASSWORD_BYTES = 24;
/** RFC 7617 §2 allows no control characters; shorter passwords can be guessed. */
const OWN_PASSWORD = /^\P{Cc}{12,}$/u;

const [name, option, ...rest] = process.argv.slice(2);
if (name === undefined || rest.length > 0 || (option !== undefined && option !== '--stdin')) {
  fail('usage: npm run --silent credential -- NAME [--stdin]');
} else {
  const fromStdin = option === '--stdin';
  const password = fromStdin
    ? (await text(process.stdin)).replace(/\r?\n$/, '')
    : randomBytes(PASSWORD_BYTES).toString('base64url');
  const document = JSON.stringify({ credentials: { [name]: await hashPassword(password) } });
  const checked = parseCredentials(document);
  if (!checked.ok) fail(checked.fault);
  else if (!OWN_PASSWORD.test(password)) fail('a password has 12 characters or more, none of them a control');
  else {
    console.log(document);
    if (!fromStdin) console.error(`password of ${name}: ${password}`);
  }
}

function fail(what: string): void {
  console.error(`credential: ${what}`);
  process.exitCode = 2;
}
