// Makes a credential for Basic authentication: `npm run credential -- NAME [FILE]`. Prints the password once and
// the line for the credentials document; with FILE, adds it there (and makes the file when there is none).

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseCredentials } from '../shared/access/credentials.ts';
import { hashPassword } from '../shared/access/password.ts';
import { ID_PATTERN } from '../shared/xfer/message.ts';

const [name, file, ...rest] = process.argv.slice(2);
if (name === undefined || rest.length > 0 || !ID_PATTERN.test(name) || name.startsWith('_')) {
  console.error('usage: npm run credential -- NAME [FILE]');
  console.error('NAME: 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _');
  console.error('FILE: a credentials document that the credential is added to');
  process.exit(64);
}

const password = randomBytes(24).toString('base64url');
const hash = await hashPassword(password);
const hashes = new Map<string, string>();
if (file !== undefined && existsSync(file)) {
  const read = parseCredentials(readFileSync(file, 'utf8'));
  if (!read.ok) {
    console.error(`${file}: ${read.fault}`);
    process.exit(65);
  }
  for (const [known, value] of read.hashes) hashes.set(known, value);
}
hashes.set(name, hash);
const document = `${JSON.stringify({ credentials: Object.fromEntries(hashes) }, null, 2)}\n`;
if (file === undefined) console.log(document);
else writeFileSync(file, document, { mode: 0o600 });
console.log(`user name: ${name}`);
console.log(`password:  ${password}   (shown once; only its hash is kept)`);
console.log(`for the sidecar: HTTP_Basic_Auth = "${name}:${password}"`);
