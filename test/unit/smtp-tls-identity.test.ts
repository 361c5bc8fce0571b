import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { checkServerIdentity } from 'node:tls';
import { checkDnsIdentity } from '../../shared/smtp/tls-identity.ts';
import { createAuthority } from '../dialogs/authority.ts';

const HOST = 'mx.example.net';

function issued(wanted: { readonly names: readonly string[]; readonly commonName?: string }) {
  return new X509Certificate(createAuthority().issue(wanted).cert).toLegacyObject();
}

test('a certificate is good for the DNS names in it, never for its common name alone', () => {
  assert.equal(checkDnsIdentity(HOST, issued({ names: [HOST] })), undefined);
  assert.equal(checkDnsIdentity(HOST, issued({ names: ['*.example.net'] })), undefined);
  const other = checkDnsIdentity(HOST, issued({ names: ['mx.example.org'], commonName: HOST }));
  assert.equal(other !== undefined && 'code' in other && other.code, 'ERR_TLS_CERT_ALTNAME_INVALID');

  const nameless = issued({ names: [], commonName: HOST });
  assert.equal(checkServerIdentity(HOST, nameless), undefined);
  const refused = checkDnsIdentity(HOST, nameless);
  assert.equal(refused !== undefined && 'code' in refused && refused.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
});
