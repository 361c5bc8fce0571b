// Options on the TLS of deliveries: the receiving side, and attempts of the sidecar's own.

import { DELIVERY_SCOPES, DOMAIN_SCOPES, option } from './option.ts';
import { choice, filePath, flag } from './value-types.ts';
import { cipherList, type TlsVersions, tlsVersions } from './value-types-network.ts';

export const TLS_OPTIONS = {
  TLS: option({
    name: 'TLS',
    type: choice('no', 'ifavailable', 'required'),
    default: 'ifavailable' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'Whether deliveries use STARTTLS: never, where it is offered, or not without it.',
    momentum: 'no',
    deviation: 'Most mail hosts offer it, and mail in clear is read on its way.',
  }),
  TLS_Verify: option({
    name: 'TLS_Verify',
    type: choice('no', 'ca', 'host', 'optional'),
    default: 'no' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning:
      'What a certificate must be: "no" and "optional" take any, "ca" a trusted one, "host" a trusted one that names ' +
      'the mail host.',
    momentum: 'no',
    deviation:
      'It holds with TLS = "required". "ca" checks the name as well, since anybody has a trusted certificate for ' +
      'some name. Whether a certificate would have passed is logged in any case.',
  }),
  TLS_CA: option<string | undefined>({
    name: 'TLS_CA',
    type: filePath,
    default: undefined,
    defaultText: 'the authorities of Node.js',
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'A file of trusted certificates in PEM, for TLS_Verify; they alone are trusted then.',
    momentum: 'none',
    file: 'certificates',
  }),
  TLS_Protocols: option<TlsVersions | undefined>({
    name: 'TLS_Protocols',
    type: tlsVersions,
    default: undefined,
    defaultText: 'TLS 1.2 and 1.3',
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'The versions of TLS that deliveries speak, "+ALL:-TLSv1.0:-TLSv1.1".',
    momentum: '+ALL',
    deviation: 'Older versions are broken. SSLv2 and SSLv3 may be named, and are never spoken.',
  }),
  TLS_Ciphers: option<string | undefined>({
    name: 'TLS_Ciphers',
    type: cipherList,
    default: undefined,
    defaultText: 'those of Node.js',
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'The ciphers of deliveries up to TLS 1.2, as OpenSSL lists them.',
    momentum: 'DEFAULT of OpenSSL',
  }),
  TLS_Ifavailable_Fallback: option({
    name: 'TLS_Ifavailable_Fallback',
    type: flag,
    default: true,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning:
      'With TLS = "ifavailable": whether mail goes in clear where STARTTLS is offered and the handshake fails; ' +
      'otherwise it is deferred.',
    momentum: 'true',
  }),
  Use_MTA_STS: option({
    name: 'Use_MTA_STS',
    type: flag,
    default: true,
    scopes: DOMAIN_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'Whether MTA-STS policies of destinations are looked for.',
    momentum: 'false',
    deviation: 'A policy that is published is meant to be kept.',
  }),
  Enable_MTA_STS: option({
    name: 'Enable_MTA_STS',
    type: flag,
    default: true,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'Whether MTA-STS policies of destinations are kept.',
    momentum: 'true where Use_MTA_STS is',
  }),
};
