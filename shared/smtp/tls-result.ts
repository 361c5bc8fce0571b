// How TLS came out, from Node's and OpenSSL's words for it to those of RFC 8460 §4.3, in which results are
// counted and reported. Every code that Node's TLS gives to a certificate has its line here; one that is new is
// a certificate that was not trusted, and every other end of a handshake is a validation failure.

import type { TlsResult } from './client.ts';

/** What is wrong with a certificate, as `TLSSocket.authorizationError` or an error's code says it. */
export type CertificateFault = Exclude<TlsResult, 'successful' | 'starttls-not-supported'>;

const MISMATCH = 'certificate-host-mismatch';
const EXPIRED = 'certificate-expired';
/** RFC 8460 §4.3.2.1: unknown authorities, name constraints, chain errors and other faults of certificates. */
const UNTRUSTED = 'certificate-not-trusted';
const OTHER = 'validation-failure';

/** The codes of Node's X509 verification (`deps/ncrypto`) and of `tls.checkServerIdentity`. */
export const CERTIFICATE_FAULTS: ReadonlyMap<string, CertificateFault> = new Map<string, CertificateFault>([
  ['ERR_TLS_CERT_ALTNAME_INVALID', MISMATCH],
  ['ERR_TLS_CERT_ALTNAME_FORMAT', MISMATCH],
  ['HOSTNAME_MISMATCH', MISMATCH],
  ['CERT_HAS_EXPIRED', EXPIRED],
  ['CERT_NOT_YET_VALID', UNTRUSTED],
  ['CERT_REVOKED', UNTRUSTED],
  ['CERT_REJECTED', UNTRUSTED],
  ['CERT_UNTRUSTED', UNTRUSTED],
  ['CERT_CHAIN_TOO_LONG', UNTRUSTED],
  ['CERT_SIGNATURE_FAILURE', UNTRUSTED],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', UNTRUSTED],
  ['UNABLE_TO_DECRYPT_CERT_SIGNATURE', UNTRUSTED],
  ['ERROR_IN_CERT_NOT_BEFORE_FIELD', UNTRUSTED],
  ['ERROR_IN_CERT_NOT_AFTER_FIELD', UNTRUSTED],
  ['INVALID_CA', UNTRUSTED],
  ['INVALID_PURPOSE', UNTRUSTED],
  ['PATH_LENGTH_EXCEEDED', UNTRUSTED],
  /** Whatever else OpenSSL finds: name constraints, a key that is too weak. */
  ['UNSPECIFIED', UNTRUSTED],
  ['UNABLE_TO_GET_CRL', UNTRUSTED],
  ['UNABLE_TO_DECRYPT_CRL_SIGNATURE', UNTRUSTED],
  ['CRL_SIGNATURE_FAILURE', UNTRUSTED],
  ['CRL_NOT_YET_VALID', UNTRUSTED],
  ['CRL_HAS_EXPIRED', UNTRUSTED],
  ['ERROR_IN_CRL_LAST_UPDATE_FIELD', UNTRUSTED],
  ['ERROR_IN_CRL_NEXT_UPDATE_FIELD', UNTRUSTED],
  ['OUT_OF_MEM', OTHER],
]);

/**
 * Of a handshake that succeeded: `authorizationError` as the socket has it, which with `rejectUnauthorized: false`
 * is a code, an Error, or nothing when the certificate is trusted and good for the name.
 */
export function certificateResult(authorizationError: unknown): TlsResult {
  if (authorizationError === undefined || authorizationError === null) return 'successful';
  return CERTIFICATE_FAULTS.get(tlsErrorCode(authorizationError)) ?? UNTRUSTED;
}

/** Of a handshake that failed, by the error that ended it; undefined for a silence that was cut. */
export function handshakeResult(error: unknown): TlsResult {
  return CERTIFICATE_FAULTS.get(tlsErrorCode(error)) ?? OTHER;
}

/** Node's code for an error, for RFC 8460's `failure-reason-code`; `UNKNOWN` when it has none. */
export function tlsErrorCode(error: unknown): string {
  if (typeof error === 'string' && error !== '') return error;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}
