// What real name servers say about a domain decides where its mail goes. The same zones are asked of NSD directly,
// as an authority, and through unbound, as the recursive resolver that a machine has.

import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { startExim } from './exim.ts';
import { startNsd, startUnbound } from './name-servers.ts';
import { startReceiver, type Told } from './receiver.ts';
import { handOver } from './transfer.ts';

/** Nobody listens at 127.0.0.39. Each resolver has names of its own. */
const ZONE = `
*.two-hosts MX 20 second
*.two-hosts MX 10 first
*.first-down MX 20 second
*.first-down MX 10 down
*.implicit A 127.0.0.31
*.alias CNAME any.two-hosts
${Array.from({ length: 60 }, (_, index) => `*.large MX 20 one-of-very-many-mail-hosts-${index}`).join('\n')}
*.large MX 10 first
*.null MX 0 .
*.loop MX 10 ${hostname()}.
*.nowhere MX 10 nobody
*.inside MX 10 inside
first A 127.0.0.31
second A 127.0.0.32
down A 127.0.0.39
inside A 10.0.0.1
`;

/** What is told of mail to such a domain: type, and host or reply. */
const ENDS = [
  ['two-hosts', 'Delivery by first.zone.test'],
  ['first-down', 'Delivery by second.zone.test'],
  ['implicit', 'Delivery by NAME.implicit.zone.test'],
  ['alias', 'Delivery by first.zone.test'],
  ['large', 'Delivery by first.zone.test'],
  ['null', 'Bounce 556 5.1.10 NAME.null.zone.test takes no mail (null MX)'],
  ['missing', 'Bounce 550 5.1.2 NAME.missing.zone.test does not exist'],
  ['loop', 'Bounce 554 5.4.6 mail for NAME.loop.zone.test comes back to this host'],
  ['nowhere', 'TransientFailure 451 4.4.4 no mail host of NAME.nowhere.zone.test has an address'],
  [
    'inside',
    'TransientFailure 451 4.7.1 NAME.inside.zone.test has no address that mail may go to: inside.zone.test [10.0.0.1] is private',
  ],
] as const;

const RESOLVERS = ['nsd', 'unbound'] as const;

test('mail to domains that real name servers know', { concurrency: true }, async (context) => {
  await using servers = new AsyncDisposableStack();
  const zones = { 'zone.test': ZONE, 'nsd.broken.test': undefined, 'unbound.broken.test': undefined };
  const nsd = await startNsd(servers, '127.0.0.53', zones);
  const unbound = await startUnbound(servers, '127.0.0.54', nsd, Object.keys(zones));
  const [directly, recursively] = await Promise.all([
    startReceiver(servers, { dns: nsd.server, args: ['--port', '8081'] }),
    startReceiver(servers, { dns: unbound, args: ['--port', '8082'] }),
    startExim(servers, {
      name: 'mx.zone.test',
      addresses: ['127.0.0.31', '127.0.0.32'],
      mailboxes: RESOLVERS.flatMap((name) => [
        ...ENDS.map(([domain]) => `user@${name}.${domain}.zone.test`),
        `user@${name}.broken.test`,
      ]),
    }),
  ]);

  await Promise.all(
    RESOLVERS.flatMap((name) => {
      const receiver = name === 'nsd' ? directly : recursively;
      const mailTo = async (recipient: string) => {
        const id = recipient.replaceAll(/[@.]/g, '-');
        await handOver(receiver.url, {
          id,
          sender: 'alice@sender.test',
          recipients: [recipient],
          content: LETTER,
        });
      };
      return [
        context.test(`it ends as the zone says, asked through ${name}`, async () => {
          for (const [domain] of ENDS) await mailTo(`user@${name}.${domain}.zone.test`);
          const ends = await Promise.all(
            ENDS.map(([domain]) =>
              receiver.told(`user@${name}.${domain}.zone.test`, 'Delivery', 'Bounce', 'TransientFailure'),
            ),
          );
          assert.deepEqual(
            ends.map(told),
            ENDS.map(([, end]) => end.replace('NAME', name)),
          );
        }),

        context.test(
          `a domain whose name server fails waits without an attempt, asked through ${name}`,
          async () => {
            const recipient = `user@${name}.broken.test`;
            await mailTo(recipient);
            await receiver.told(recipient, 'Delayed');
            await nsd.load(`${name}.broken.test`, '@ MX 10 first.zone.test.');
            const { num_attempts: attempts } = await receiver.delivered(recipient);
            assert.equal(attempts, 1);
            const types = new Set(receiver.records(recipient).map(({ type }) => type));
            assert.deepEqual([...types], ['XferIn', 'Delayed', 'Delivery']);
          },
        ),
      ];
    }),
  );
});

const LETTER = Buffer.from('From: alice@sender.test\r\nSubject: to some domain\r\n\r\nHello.\r\n');

function told({ type, response, peer_address: peer }: Told): string {
  const reply = [response?.code, response?.enhanced_code, response?.content].join(' ');
  return `${type} ${type === 'Delivery' ? `by ${peer?.name}` : reply}`;
}
