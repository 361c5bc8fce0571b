// What STARTTLS takes from TLS_Certificate and TLS_Key: TLS 1.2 or later, one certificate for every name. A client
// is not asked for a certificate. Nothing here throws.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

export type ListenerTlsResult =
  | { readonly ok: true; readonly context: SecureContext; readonly warning?: string }
  /** Which of the two files is to blame. */
  | { readonly ok: false; readonly file: 'certificate' | 'key'; readonly message: string };

/** The certificate stands first in its PEM, those that vouch for it behind it. */
export function readListenerTls(certificatePem: string, keyPem: string, nowMs: number): ListenerTlsResult {
  const blocks = certificatePem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const certificates = blocks.map(certificateOf);
  const broken = certificates.indexOf(undefined);
  const [own] = certificates;
  if (own === undefined) return fault('certificate', 'it holds no certificate in PEM that can be read');
  if (broken >= 0) return fault('certificate', `its certificate ${broken + 1} cannot be read`);
  const key = keyOf(keyPem);
  if (key === undefined) return fault('key', 'it holds no private key in PEM without a passphrase');
  if (!own.checkPrivateKey(key))
    return fault('key', 'it is not the key of the certificate that stands first');
  try {
    const context = createSecureContext({ cert: certificatePem, key: keyPem, minVersion: 'TLSv1.2' });
    const untilMs = Date.parse(own.validTo);
    return {
      ok: true,
      context,
      ...(untilMs < nowMs && { warning: `the certificate ended at ${new Date(untilMs).toISOString()}` }),
    };
  } catch (error) {
    return fault('certificate', error instanceof Error ? error.message : String(error));
  }
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function keyOf(pem: string): ReturnType<typeof createPrivateKey> | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function fault(file: 'certificate' | 'key', message: string): ListenerTlsResult {
  return { ok: false, file, message };
}
