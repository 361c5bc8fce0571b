// Whether a certificate is good for a host's name.

import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/**
 * RFC 8461 §4.1: the name is one of the certificate's DNS names. Node alone would also take a certificate without
 * any for the common name of its subject (RFC 6125 §6.4.4 lets it go).
 */
export function checkDnsIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  if (/(^|, )DNS:/.test(certificate.subjectaltname ?? '')) return checkServerIdentity(host, certificate);
  return Object.assign(new Error(`the certificate names no DNS host, so not ${host}`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}
