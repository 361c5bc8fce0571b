// `delay-xfer credential`: a name and password for a sender or a listener's user, with the hash that is stored.

import { randomBytes } from 'node:crypto';
import { parseCredentials } from '../shared/access/credentials.ts';
import { hashPassword } from '../shared/access/password.ts';
import { type Command, EX_OK, UsageError } from './command.ts';

const PASSWORD_BYTES = 24;
const MAX_PASSWORD_BYTES = 4_096;
/** RFC 7617 §2 allows no control characters; shorter passwords can be guessed. */
const OWN_PASSWORD = /^\P{Cc}{12,}$/u;

export const CREDENTIAL: Command = {
  name: 'credential',
  operands: 'NAME [--stdin]',
  summary: 'makes a name and password for a sender or a user of a listener',
  text: `
Prints the credentials document with this one name to standard output, for Auth_Users or a receiver's secret; and the
new password, which is stored nowhere, to standard error.`,
  options: [{ name: 'stdin', says: 'take the password from standard input instead of making one' }],
  async run(given, terminal) {
    const [name, ...rest] = given.operands;
    if (name === undefined || rest.length > 0) throw new UsageError('one NAME is needed');
    const own = given.flag('stdin');
    const password = own
      ? passwordIn(await terminal.input(MAX_PASSWORD_BYTES + 1))
      : randomBytes(PASSWORD_BYTES).toString('base64url');
    const document = JSON.stringify({ credentials: { [name]: await hashPassword(password) } });
    const checked = parseCredentials(document);
    if (!checked.ok) throw new UsageError(checked.fault);
    if (!OWN_PASSWORD.test(password)) {
      throw new UsageError('a password has 12 characters or more, none of them a control');
    }
    terminal.out(`${document}\n`);
    if (!own) terminal.err(`password of ${name}: ${password}\n`);
    return EX_OK;
  },
};

function passwordIn(octets: Uint8Array): string {
  if (octets.length > MAX_PASSWORD_BYTES)
    throw new UsageError(`a password has ${MAX_PASSWORD_BYTES} octets at most`);
  return Buffer.from(octets)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
