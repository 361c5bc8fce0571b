// Certificates made while a test runs, with node:crypto alone: an authority of the test's own, what it issues, and
// what is wrong with it. DER by RFC 5280 §4.1, ECDSA over P-256.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** PEM, as a TLS server takes it. */
export interface ServerCertificate {
  readonly key: string;
  /** The certificate alone; chains are joined by who serves them. */
  readonly cert: string;
}

export interface Wanted {
  /** DNS names of the certificate; none leaves the extension out. */
  readonly names: readonly string[];
  /** The first name when absent. */
  readonly commonName?: string;
  /** Yesterday to tomorrow when absent. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** What it may be used for; a server when absent. */
  readonly purpose?: 'server' | 'client';
}

export interface Authority {
  /** PEM. */
  readonly cert: string;
  issue(wanted: Wanted): ServerCertificate;
  /** An authority under this one; `pathLength` authorities may follow it, `constrainedTo` is all it may name. */
  intermediate(options: {
    readonly name: string;
    readonly isAuthority?: boolean;
    readonly pathLength?: number;
    readonly constrainedTo?: string;
  }): Authority;
}

export function createAuthority(name = 'Authority of a test'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [basicConstraints(true)];
  const cert = certificate({
    subject: name,
    issuer: name,
    extensions,
    key: keys.publicKey,
    signer: keys.privateKey,
  });
  return authorityOf(name, cert, keys.privateKey);
}

/** Its own issuer, and nobody else's. */
export function selfSigned(wanted: Wanted): ServerCertificate {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return served(wanted, wanted.commonName ?? wanted.names[0] ?? '', keys.privateKey, keys);
}

type Keys = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

function authorityOf(name: string, cert: string, privateKey: KeyObject): Authority {
  return {
    cert,
    issue: (wanted) => served(wanted, name, privateKey, generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    intermediate({ name: subject, isAuthority = true, pathLength, constrainedTo }) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const extensions = [
        basicConstraints(isAuthority, pathLength),
        ...(constrainedTo === undefined ? [] : [nameConstraints(constrainedTo)]),
      ];
      const below = certificate({
        subject,
        issuer: name,
        extensions,
        key: keys.publicKey,
        signer: privateKey,
      });
      return authorityOf(subject, below, keys.privateKey);
    },
  };
}

function served(wanted: Wanted, issuer: string, signer: KeyObject, keys: Keys): ServerCertificate {
  const cert = certificate({
    subject: wanted.commonName ?? wanted.names[0] ?? '',
    issuer,
    extensions: [
      ...(wanted.names.length === 0 ? [] : [alternativeNames(wanted.names)]),
      extendedKeyUsage(wanted.purpose ?? 'server'),
    ],
    key: keys.publicKey,
    signer,
    ...(wanted.notBefore === undefined ? {} : { notBefore: wanted.notBefore }),
    ...(wanted.notAfter === undefined ? {} : { notAfter: wanted.notAfter }),
  });
  return { cert, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const DAY_MS = 86_400_000;

function certificate(of: {
  readonly subject: string;
  readonly issuer: string;
  readonly extensions: readonly Buffer[];
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}): string {
  const nowMs = Date.now();
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const tbs = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonName(of.issuer),
    sequence(time(of.notBefore ?? new Date(nowMs - DAY_MS)), time(of.notAfter ?? new Date(nowMs + DAY_MS))),
    commonName(of.subject),
    of.key.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...of.extensions)),
  );
  const signature = tlv(0x03, Buffer.from([0]), sign('sha256', tbs, of.signer));
  const der = sequence(tbs, algorithm, signature);
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function commonName(text: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(text)))));
}

function alternativeNames(names: readonly string[]): Buffer {
  return extension('551d11', false, sequence(...names.map((name) => tlv(0x82, Buffer.from(name)))));
}

function basicConstraints(isAuthority: boolean, pathLength?: number): Buffer {
  const parts = [
    ...(isAuthority ? [tlv(0x01, Buffer.from([0xff]))] : []),
    ...(pathLength === undefined ? [] : [tlv(0x02, Buffer.from([pathLength]))]),
  ];
  return extension('551d13', true, sequence(...parts));
}

function nameConstraints(domain: string): Buffer {
  return extension('551d1e', true, sequence(tlv(0xa0, sequence(tlv(0x82, Buffer.from(domain))))));
}

function extendedKeyUsage(purpose: 'server' | 'client'): Buffer {
  return extension(
    '551d25',
    false,
    sequence(oid(purpose === 'server' ? '2b06010505070301' : '2b06010505070302')),
  );
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(isCritical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

/** UTCTime, or GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). */
function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, '');
  return at.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(digits.slice(2)))
    : tlv(0x18, Buffer.from(digits));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
