// What domains and operators demand of TLS, in the whole stack: MTA-STS policies from an HTTPS host of their own, and
// the options of the configuration, with real name servers and a Postfix that shows good and bad certificates.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fieldsBefore } from './arrival.ts';
import { type Certificate, makeAuthority } from './certificates.ts';
import { type Lifetime, makeDirectory } from './directory.ts';
import { testWithEvidence } from './evidence.ts';
import { startNsd } from './name-servers.ts';
import { startPolicyHost } from './policy-host.ts';
import { type Postfix, startPostfix } from './postfix.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { handOver } from './transfer.ts';

const SENDER = 'alice@sender.test';
const POLICY_HOST = '127.0.0.80';

/** Its mail hosts are one Postfix: `proved` has a good certificate, `doubtful` a self-signed one, `clear` none. */
const HOSTS = { proved: '127.0.0.20', doubtful: '127.0.0.21', clear: '127.0.0.22' } as const;

/** The MX of each domain, and the policy that it publishes. */
const DOMAINS = {
  'enforced.test': { mx: 'proved', mode: 'enforce', allows: 'proved.hosts.test' },
  'doubtful.test': { mx: 'doubtful', mode: 'enforce', allows: '*.hosts.test' },
  'clear.test': { mx: 'clear', mode: 'enforce', allows: '*.hosts.test' },
  'elsewhere.test': { mx: 'proved', mode: 'enforce', allows: 'mx.elsewhere.test' },
  'testing.test': { mx: 'doubtful', mode: 'testing', allows: 'doubtful.hosts.test' },
  'unknown.test': { mx: 'doubtful', mode: 'enforce', allows: 'doubtful.hosts.test' },
  // Without a policy of their own: the operator demands TLS.
  'demanded.test': { mx: 'proved', mode: 'none', allows: '' },
  'missed.test': { mx: 'doubtful', mode: 'none', allows: '' },
} as const satisfies Readonly<
  Record<string, { mx: keyof typeof HOSTS; mode: 'enforce' | 'testing' | 'none'; allows: string }>
>;

type Domain = keyof typeof DOMAINS;

test('mail to domains that demand TLS, or whose mail an operator demands it for', async (context) => {
  await using servers = new AsyncDisposableStack();
  const authority = await makeAuthority(servers);
  const directory = await makeDirectory(servers, 'tls-policy');
  const caFile = join(directory, 'ca.pem');
  const configuration = join(directory, 'tls.conf');
  await writeFile(caFile, authority.ca);
  await writeFile(
    configuration,
    `Domain demanded.test { TLS = "required" TLS_Verify = "host" TLS_CA = "${caFile}" }
Domain missed.test { TLS = "required" TLS_Verify = "host" TLS_CA = "${caFile}" }
`,
  );

  const publishing = Object.entries(DOMAINS).filter(([, { mode }]) => mode !== 'none');
  const good = await authority.issue(
    publishing.map(([domain]) => `mta-sts.${domain}`),
    'none',
  );
  const policyHost = await startPolicyHost(
    servers,
    POLICY_HOST,
    Object.fromEntries(
      await Promise.all(
        publishing.map(async ([domain, { mode, allows }]) => {
          const text = `version: STSv1\r\nmode: ${mode}\r\nmx: ${allows}\r\nmax_age: 604800\r\n`;
          const unknown = domain === 'unknown.test';
          const certificate = unknown ? await authority.issue(`mta-sts.${domain}`, 'self-signed') : good;
          return [domain, { text, certificate }] as const;
        }),
      ),
    ),
  );
  const dns = await startNsd(servers, '127.0.0.53', {
    'hosts.test': Object.entries(HOSTS)
      .map(([name, address]) => `${name} A ${address}`)
      .join('\n'),
    ...Object.fromEntries(
      Object.entries(DOMAINS).map(([domain, { mx, mode }]) => [
        domain,
        `@ MX 10 ${mx}.hosts.test.\n${
          mode === 'none' ? '' : `_mta-sts TXT "v=STSv1; id=20261123;"\nmta-sts A ${POLICY_HOST}`
        }`,
      ]),
    ),
  });
  const postfix = await startHosts(
    servers,
    await authority.issue('proved.hosts.test', 'none'),
    await authority.issue('doubtful.hosts.test', 'self-signed'),
  );
  // The data stays when the receiver is started anew.
  const receive = (lifetime: AsyncDisposableStack) =>
    startReceiver(lifetime, {
      dns: dns.server,
      args: ['--config', configuration, '--data', join(directory, 'data')],
      environment: { NODE_EXTRA_CA_CERTS: caFile },
    });

  await context.test('at its first delivery each policy is fetched and kept to', async (each) => {
    await using lifetime = new AsyncDisposableStack();
    const receiver = await receive(lifetime);
    const world = { receiver, postfix };
    const check = (title: string, run: () => Promise<void>) =>
      testWithEvidence(each, title, postfix.log, run);
    await Promise.all([
      check('enforced, a proved mail host: delivered over TLS', () =>
        delivered(world, 'first', 'enforced.test'),
      ),
      check('enforced, a certificate that nobody vouches for: put off, never in clear', async () => {
        const reply = await putOff(world, 'first', 'doubtful.test');
        assert.match(reply, /^421 4\.7\.5 .*certificate-not-trusted/);
        await receiver.logged(resultOf('doubtful.test', 'certificate-not-trusted'));
      }),
      check('enforced, no STARTTLS: put off, never in clear', async () => {
        const reply = await putOff(world, 'first', 'clear.test');
        assert.match(reply, /^421 4\.7\.4 /);
        await receiver.logged(resultOf('clear.test', 'starttls-not-supported'));
      }),
      check('enforced, an MX that the policy does not name: put off', async () => {
        const reply = await putOff(world, 'first', 'elsewhere.test');
        assert.match(reply, /^451 4\.7\.5 .* does not allow its mail hosts: proved\.hosts\.test$/);
        await receiver.logged(resultOf('elsewhere.test', 'validation-failure'));
      }),
      check('in testing: delivered all the same, and what would have failed is counted', async () => {
        await delivered(world, 'first', 'testing.test');
        await receiver.logged(resultOf('testing.test', 'certificate-not-trusted'));
      }),
      check('a policy host that nobody vouches for: delivered as without a policy', async () => {
        await delivered(world, 'first', 'unknown.test');
        await receiver.logged(resultOf('unknown.test', 'sts-webpki-invalid'));
      }),
      check('the operator demands proved TLS: delivered where there is, put off elsewhere', async () => {
        await delivered(world, 'first', 'demanded.test');
        assert.match(await putOff(world, 'first', 'missed.test'), /^421 4\.7\.5 .*certificate-not-trusted/);
      }),
    ]);
    const asked = publishing.map(([domain]) => domain).filter((domain) => domain !== 'unknown.test');
    assert.deepEqual(policyHost.asked.toSorted(), asked.toSorted());
  });

  await testWithEvidence(
    context,
    'the policy host is gone: what was fetched is enforced',
    postfix.log,
    async () => {
      await policyHost.close();
      await using lifetime = new AsyncDisposableStack();
      const receiver = await receive(lifetime);
      const world = { receiver, postfix };
      await delivered(world, 'second', 'enforced.test');
      const reply = await putOff(world, 'second', 'doubtful.test');
      assert.match(reply, /^421 4\.7\.5 .*certificate-not-trusted/);
    },
  );
});

interface World {
  readonly receiver: Receiver;
  readonly postfix: Postfix;
}

/** By its own recipient each; over TLS, whatever that proves. */
async function delivered({ receiver, postfix }: World, local: string, domain: Domain): Promise<void> {
  const content = await handOverTo(receiver, local, domain);
  const recipient = `${local}@${domain}`;
  await receiver.delivered(recipient).catch(async (error) => {
    throw new Error(await postfix.log(), { cause: error });
  });
  const [mail = Buffer.alloc(0), ...doubles] = await postfix.mailbox(recipient);
  assert.equal(doubles.length, 0);
  assert.match(fieldsBefore(mail, content).join('\n'), /\(using TLSv1\.[23] /);
}

/** The reply of the first attempt. Rejects when the Postfix has heard of the mail. */
async function putOff({ receiver, postfix }: World, local: string, domain: Domain): Promise<string> {
  await handOverTo(receiver, local, domain);
  const recipient = `${local}@${domain}`;
  const { response } = await receiver.told(recipient, 'TransientFailure', 'Delivery', 'Bounce');
  assert.equal((await postfix.mailbox(recipient, 0)).length, 0);
  assert.doesNotMatch(await postfix.log(), new RegExp(recipient));
  return [response?.code, response?.enhanced_code, response?.content].join(' ');
}

async function handOverTo(receiver: Receiver, local: string, domain: Domain): Promise<Buffer> {
  const content = Buffer.from(`From: ${SENDER}\r\nSubject: to ${domain}\r\n\r\nHello.\r\n`);
  const id = `${local}-${domain.replace('.', '-')}`;
  await handOver(receiver.url, { id, sender: SENDER, recipients: [`${local}@${domain}`], content });
  return content;
}

function resultOf(domain: string, result: string): RegExp {
  return new RegExp(`"tls-results".*"policy-domain":"${domain}".*"result-type":"${result}"`);
}

function startHosts(lifetime: Lifetime, proved: Certificate, doubtful: Certificate): Promise<Postfix> {
  const withTls = (name: 'proved' | 'doubtful') => `${HOSTS[name]}:25 inet n - n - 20 smtpd
  -o smtpd_tls_security_level=may -o smtpd_tls_chain_files=$config_directory/${name}.pem
`;
  return startPostfix(lifetime, {
    name: 'hosts.test',
    address: HOSTS.clear,
    mailboxes: Object.keys(DOMAINS).flatMap((domain) => [`first@${domain}`, `second@${domain}`]),
    main: { smtpd_tls_received_header: 'yes' },
    append: { 'master.cf': withTls('proved') + withTls('doubtful') },
    files: {
      'proved.pem': `${proved.key}${proved.certificate}`,
      'doubtful.pem': `${doubtful.key}${doubtful.certificate}`,
    },
  });
}
