// STARTTLS at real servers: each way that TLS can be right or wrong there, against each demand that a session can make.
// What the client says of it is a table; that it is so is read from the mail as it arrived.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SmtpTarget, TlsDemand } from '../../shared/smtp/client.ts';
import { replyClass } from '../../shared/smtp/reply.ts';
import { type Authority, type Certificate, type Fault, makeAuthority } from './certificates.ts';
import { contentOf, createClient, envelope, letter, TIMEOUTS, target, told, toldOpening } from './client.ts';
import type { Lifetime } from './directory.ts';
import { type Exim, startExim } from './exim.ts';
import { type OpenSmtpd, startOpenSmtpd } from './opensmtpd.ts';
import { type Postfix, startPostfix } from './postfix.ts';
import { startSilentHandshake } from './silent-handshake.ts';

const SENDER = 'alice@sender.test';
const DEMANDS = ['ifavailable', 'required', 'verified'] as const;

/** What comes of a message, by the state of TLS at the peer and the demand, in the order above. */
const ENDS: Readonly<Record<string, readonly [string, string, string]>> = {
  valid: [
    'delivered over proven TLS; successful; came over TLS',
    'delivered over proven TLS; successful; came over TLS',
    'delivered over proven TLS; successful; came over TLS',
  ],
  'self-signed': [
    'delivered over TLS; certificate-not-trusted; came over TLS',
    'delivered over TLS; certificate-not-trusted; came over TLS',
    'deferred at starttls; certificate-not-trusted',
  ],
  expired: [
    'delivered over TLS; certificate-expired; came over TLS',
    'delivered over TLS; certificate-expired; came over TLS',
    'deferred at starttls; certificate-expired',
  ],
  'other-name': [
    'delivered over TLS; certificate-host-mismatch; came over TLS',
    'delivered over TLS; certificate-host-mismatch; came over TLS',
    'deferred at starttls; certificate-host-mismatch',
  ],
  'tls-1-0': [
    'delivered in clear; validation-failure; came in clear',
    'deferred at starttls; validation-failure',
    'deferred at starttls; validation-failure',
  ],
  plain: [
    'delivered in clear; starttls-not-supported; came in clear',
    'deferred at starttls; starttls-not-supported',
    'deferred at starttls; starttls-not-supported',
  ],
};

const CERTIFICATES = {
  valid: 'none',
  'self-signed': 'self-signed',
  expired: 'expired',
  'other-name': 'other name',
} as const satisfies Readonly<Record<string, Fault>>;

interface Mta {
  readonly domain: string;
  /** By the state of TLS there. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Its `Received:` field for mail that came over TLS. */
  readonly overTls: RegExp;
}

const MTAS = {
  Postfix: {
    domain: 'postfix.test',
    addresses: {
      valid: '127.0.0.20',
      'self-signed': '127.0.0.21',
      expired: '127.0.0.22',
      'other-name': '127.0.0.23',
      'tls-1-0': '127.0.0.24',
      plain: '127.0.0.25',
    },
    overTls: /^Received: .*\(using TLSv1/s,
  },
  Exim: {
    domain: 'exim.test',
    addresses: {
      valid: '127.0.0.30',
      'self-signed': '127.0.0.31',
      expired: '127.0.0.32',
      'other-name': '127.0.0.33',
      'tls-1-0': '127.0.0.34',
      plain: '127.0.0.35',
    },
    overTls: /^Received: .*with esmtps /s,
  },
  OpenSMTPD: {
    // Nothing listens there for TLS 1.0: two servers are enough.
    domain: 'opensmtpd.test',
    addresses: {
      valid: '127.0.0.40',
      'self-signed': '127.0.0.41',
      expired: '127.0.0.42',
      'other-name': '127.0.0.43',
      plain: '127.0.0.45',
    },
    overTls: /^Received: .*\(TLSv1/s,
  },
} as const satisfies Readonly<Record<string, Mta>>;

test('STARTTLS at real servers', { concurrency: 4 }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const authority = await makeAuthority(servers);
  const demands: Readonly<Record<(typeof DEMANDS)[number], TlsDemand>> = {
    ifavailable: { mode: 'ifavailable', verify: false, ca: authority.ca },
    required: { mode: 'required', verify: false, ca: authority.ca },
    verified: { mode: 'required', verify: true, ca: authority.ca },
  };
  const [Postfix, Exim, OpenSMTPD, silent] = await Promise.all([
    startPostfixes(servers, await certificatesOf(MTAS.Postfix, authority)),
    startExims(servers, await certificatesOf(MTAS.Exim, authority)),
    startOpenSmtpds(servers, await certificatesOf(MTAS.OpenSMTPD, authority)),
    startSilentHandshake(servers, '127.0.0.50'),
  ]);
  const logs = { Postfix: () => Postfix.log(), Exim: () => Exim.log(), OpenSMTPD: () => OpenSMTPD.log() };
  const mailboxOf = { Postfix: Postfix.mailbox, Exim: Exim.mailbox, OpenSMTPD: OpenSMTPD.mailbox };

  await Promise.all(
    (['Postfix', 'Exim', 'OpenSMTPD'] as const).flatMap((name) =>
      Object.entries<string>(MTAS[name].addresses).map(([state, address]) =>
        context.test(`${name}, ${state}: each demand has the end that it must`, async () => {
          const { domain, overTls } = MTAS[name];
          const ends = await Promise.all(
            DEMANDS.map(async (demand) => {
              const recipient = `${state}-${demand}@${domain}`;
              const to = target(`${state}.${domain}`, address, demands[demand]);
              const end = await sendTo(to, recipient);
              const arrived = await mailboxOf[name](recipient, end.startsWith('delivered') ? 1 : 0);
              const times = arrived.map((mail) => {
                const trace = mail.toString('latin1').split(/\r\n(?![\t ])/);
                return trace.some((field) => overTls.test(field)) ? 'over TLS' : 'in clear';
              });
              return `${end}${times.length > 0 ? `; came ${times.join(', ')}` : ''}`;
            }),
          );
          assert.deepEqual(ends, ENDS[state], await logs[name]());
        }),
      ),
    ),
  );

  await context.test(
    'a handshake that hangs: the session is given up, in clear only if TLS may be left out',
    async () => {
      const timeouts = { ...TIMEOUTS, tlsMs: 500 };
      const ends = await Promise.all(
        DEMANDS.map((demand) =>
          sendTo(
            target(`${demand}.silent.test`, '127.0.0.50', demands[demand], { timeouts }),
            'bob@silent.test',
          ),
        ),
      );
      assert.deepEqual(ends, [
        'delivered in clear; validation-failure',
        'deferred at starttls; validation-failure',
        'deferred at starttls; validation-failure',
      ]);
      // Who is not told of a fallback hears no name of any mail.
      const named = silent.dialogues.filter((commands) => commands.some((line) => line.startsWith('MAIL')));
      assert.equal(named.length, 1);
      assert.equal(named[0]?.includes('STARTTLS'), false);
    },
  );
});

/** One message on a session of its own, by a client that knows no peer. */
async function sendTo(to: SmtpTarget, recipient: string): Promise<string> {
  const opened = await createClient().open(to);
  const said = (end: string) => `${end}; ${opened.tlsResult ?? 'nothing'}`;
  if (opened.kind === 'failed') {
    assert.equal(replyClass(opened.reply), 'transient', toldOpening(opened));
    return said(`deferred at ${opened.stage}`);
  }
  const { session } = opened;
  const outcome = await session.transact(envelope(SENDER, [recipient]), contentOf(letter(SENDER, 'TLS')));
  const [end = ''] = told(outcome);
  await session.quit();
  assert.match(end, /^delivered 250 /);
  if (session.tls === undefined) return said('delivered in clear');
  return said(`delivered over ${session.tls.verified ? 'proven ' : ''}TLS`);
}

type Certificates = Readonly<Record<string, Certificate>>;

async function certificatesOf({ domain }: Mta, authority: Authority): Promise<Certificates> {
  const issued = Object.entries(CERTIFICATES).map(
    async ([state, fault]) => [state, await authority.issue(`${state}.${domain}`, fault)] as const,
  );
  return Object.fromEntries(await Promise.all(issued));
}

/** Where it does not matter whether a certificate is good. */
function shownAt(state: string, certificates: Certificates): Certificate {
  const shown = certificates[state] ?? certificates['valid'];
  if (shown === undefined) throw new Error('there are no certificates');
  return shown;
}

async function startPostfixes(lifetime: Lifetime, certificates: Certificates): Promise<Postfix> {
  const { addresses } = MTAS.Postfix;
  const listeners = Object.entries(addresses)
    .filter(([state]) => state !== 'plain')
    .map(([state, address]) =>
      [
        `${address}:25 inet n - n - 20 smtpd`,
        '  -o smtpd_tls_security_level=may',
        `  -o smtpd_tls_chain_files=$config_directory/${state}.pem`,
        ...(state === 'tls-1-0' ? ['  -o { smtpd_tls_protocols = >=TLSv1, <=TLSv1 }'] : []),
      ].join('\n'),
    );
  return await startPostfix(lifetime, {
    name: 'mx.postfix.test',
    address: addresses.plain,
    mailboxes: mailboxes(MTAS.Postfix),
    main: {
      smtpd_tls_received_header: 'yes',
      smtpd_tls_loglevel: '1',
      // At its other levels OpenSSL has no TLS 1.0.
      smtpd_tls_ciphers: 'medium',
      tls_medium_cipherlist: 'DEFAULT:@SECLEVEL=0',
    },
    append: { 'master.cf': `${listeners.join('\n')}\n` },
    files: Object.fromEntries(
      Object.keys(addresses).map((state) => {
        const { certificate, key } = shownAt(state, certificates);
        return [`${state}.pem`, `${key}${certificate}`];
      }),
    ),
  });
}

async function startExims(lifetime: Lifetime, certificates: Certificates): Promise<Exim> {
  const { addresses } = MTAS.Exim;
  const at = (state: keyof typeof addresses, yes: string, no: string) =>
    `\${if eq{$received_ip_address}{${addresses[state]}}{${yes}}{${no}}}`;
  return await startExim(lifetime, {
    name: 'mx.exim.test',
    addresses: Object.values(addresses),
    mailboxes: mailboxes(MTAS.Exim),
    main: `
tls_advertise_hosts = ${at('plain', '', '*')}
tls_certificate = $config_dir/$received_ip_address.pem
tls_require_ciphers = ${at('tls-1-0', 'NORMAL:-VERS-ALL:+VERS-TLS1.0', 'NORMAL')}
`,
    files: Object.fromEntries(
      Object.entries(addresses).map(([state, address]) => {
        const { certificate, key } = shownAt(state, certificates);
        return [`${address}.pem`, `${certificate}${key}`];
      }),
    ),
  });
}

async function startOpenSmtpds(lifetime: Lifetime, certificates: Certificates): Promise<OpenSmtpd> {
  return await startOpenSmtpd(lifetime, {
    name: 'mx.opensmtpd.test',
    listeners: Object.fromEntries(
      Object.entries(MTAS.OpenSMTPD.addresses).map(([state, address]) => [address, certificates[state]]),
    ),
    mailboxes: mailboxes(MTAS.OpenSMTPD),
  });
}

function mailboxes({ domain, addresses }: Mta): readonly string[] {
  return Object.keys(addresses).flatMap((state) => DEMANDS.map((demand) => `${state}-${demand}@${domain}`));
}
