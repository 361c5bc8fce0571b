// An attempt to a domain with an MTA-STS policy: real DNS questions, a real HTTPS policy host, a real SMTP server
// (RFC 8461 §5).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createAuthority, selfSigned } from './authority.ts';
import { startScriptedDns } from './scripted-dns.ts';
import { ANY_ID, attempts, DELIVERED, MAIL, movableClock } from './sidecar-attempt-peer.ts';
import { configurationOf, delayedTo, receiverFor, sidecarFor } from './sidecar-fixture.ts';
import { deliver } from './sidecar-smtp-client.ts';
import { type MailHost, policyServer, portOf, startMailHost } from './sts-hosts.ts';

const authority = createAuthority();
const policyHost = authority.issue({ names: ['mta-sts.example.net'] });

/** The preferred host is an attacker's: whoever can forge DNS can forge MX. */
const ZONE = `
  example.net          MX   10 mx.rogue.example
  example.net          MX   20 mx.example.net
  mx.rogue.example     A    127.0.0.2
  mx.example.net       A    127.0.0.1
  mta-sts.example.net  A    127.0.0.1
  _mta-sts.example.net TXT  v=STSv1; id=20261123;`;

test('under an enforced policy an attempt passes by a forged MX and goes to the proved host, over TLS', async (t) => {
  await using mail = await startMailHost(authority.issue({ names: ['mx.example.net'] }));
  const { port, records, sidecar } = await worldFor(t, mail);
  assert.match(await deliver(port, 'a@example.net', MAIL), DELIVERED);
  assert.deepEqual(mail.arrived, ['TLS']);
  const [record] = records.filter(({ type }) => type === 'Delivery');
  assert.ok(record?.type === 'Delivery');
  assert.deepEqual(record.peer_address, { name: 'mx.example.net', addr: '127.0.0.1' });
  await sidecar.close();
});

test('a host that nobody vouches for gets no mail, also after a reload while the policy host is silent', async (t) => {
  await using mail = await startMailHost(selfSigned({ names: ['mx.example.net'] }));
  const { port, records, sidecar, clock, silence, configuration } = await worldFor(t, mail);
  assert.match(await deliver(port, 'a@example.net', MAIL), ANY_ID);
  await silence();
  assert.equal((await sidecar.reload({ ok: true, configuration: configurationOf(configuration) })).ok, true);
  // The host is left alone for a minute.
  clock.pass(61_000);
  assert.match(await deliver(port, 'a@example.net', `X-Number: 2\r\n${MAIL}`), ANY_ID);
  assert.deepEqual(attempts(records), [
    'TransientFailure a@example.net 421 starttls',
    'TransientFailure a@example.net 421 starttls',
  ]);
  assert.deepEqual(mail.arrived, [], 'neither over TLS nor in clear');
});

async function worldFor(t: TestContext, mail: MailHost) {
  const receiver = await receiverFor(t);
  const dns = await startScriptedDns(ZONE);
  t.after(() => dns[Symbol.asyncDispose]());
  const policies = policyServer(policyHost, 'enforce');
  policies.listen(0, '127.0.0.1');
  await once(policies, 'listening');
  const silence = async (): Promise<void> => {
    if (!policies.listening) return;
    policies.close();
    await once(policies, 'close');
  };
  t.after(silence);
  const folder = await mkdtemp(join(tmpdir(), 'sidecar-attempt-sts-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'authority.pem');
  await writeFile(file, authority.cert);
  const configuration = `${delayedTo([receiver.port])} Attempt_First = true TLS_CA = "${file}"`;
  const clock = movableClock();
  const fixture = await sidecarFor(t, configuration, {
    clock,
    destinations: {
      dnsServers: [dns.server],
      allowedNetworks: ['127.0.0.0/8'],
      smtpPort: mail.port,
      policyHosts: { port: portOf(policies), ca: authority.cert },
    },
  });
  return { ...fixture, clock, configuration, silence };
}
