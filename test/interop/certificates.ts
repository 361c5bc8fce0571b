// Certificates for mail hosts, made by openssl: by an authority of the test's own, which clients are told to trust,
// or by nobody.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { runWell } from './program.ts';

/** `expired` since yesterday; `other name` is good for `other.name.test` alone. */
export type Fault = 'none' | 'self-signed' | 'expired' | 'other name';

/** PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  /** PEM. */
  readonly ca: string;
  /** For one host name, or several. */
  issue(host: string | readonly string[], fault: Fault): Promise<Certificate>;
}

const OPENSSL = '/usr/bin/openssl';
/** OpenSMTPD cannot sign with others: its keys are in a process of their own. */
const NEW_KEY = ['-newkey', 'rsa:2048', '-nodes'];

export async function makeAuthority(lifetime: Lifetime): Promise<Authority> {
  const directory = await makeDirectory(lifetime, 'authority');
  const file = (name: string) => join(directory, name);
  await runWell(OPENSSL, [
    ...['req', '-x509', ...NEW_KEY, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '30'],
    ...['-subj', '/CN=Authority of the interop tests', '-addext', 'basicConstraints=critical,CA:TRUE'],
  ]);
  let issued = 0;
  return {
    ca: await readFile(file('ca.pem'), 'utf8'),
    async issue(host, fault) {
      issued += 1;
      const serial = String(issued);
      const [key, request, certificate] = ['key', 'csr', 'pem'].map((suffix) => file(`${serial}.${suffix}`));
      if (key === undefined || request === undefined || certificate === undefined) throw new Error('no file');
      const names = fault === 'other name' ? ['other.name.test'] : [host].flat();
      const alternatives = names.map((name) => `DNS:${name}`).join(',');
      const subject = ['-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${alternatives}`];
      if (fault === 'self-signed') {
        const own = [
          'req',
          '-x509',
          ...NEW_KEY,
          ...subject,
          '-keyout',
          key,
          '-out',
          certificate,
          '-days',
          '30',
        ];
        await runWell(OPENSSL, own);
      } else {
        await runWell(OPENSSL, ['req', ...NEW_KEY, ...subject, '-keyout', key, '-out', request]);
        await runWell(OPENSSL, [
          ...['x509', '-req', '-in', request, '-out', certificate, '-copy_extensions', 'copy'],
          ...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-set_serial', serial],
          ...['-days', fault === 'expired' ? '-1' : '30'],
        ]);
      }
      return { certificate: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
    },
  };
}
