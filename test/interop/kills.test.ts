// A sidecar that is killed while a Postfix waits for its 250: every message is accounted for. The sidecar has no
// spool, so that Postfix still has them all; the receiver may have them too.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsBefore } from './arrival.ts';
import { type Moment, startMeddler } from './meddler.ts';
import { startNsd } from './name-servers.ts';
import { createGreylist, startPolicyService } from './policy-service.ts';
import { startPostfix } from './postfix.ts';
import { startReceiver } from './receiver.ts';
import { example, startSidecar } from './sidecar.ts';
import { submit } from './submission.ts';
import { until } from './until.ts';

const SENDER = 'alice@sender.test';
const SIDECAR = { configuration: example('sending-delayed.conf'), port: 2601 };
/** Messages under way at each kill. */
const MESSAGES = 3;

interface Story {
  readonly title: string;
  readonly moment: Moment;
  /** Local part of the recipients, before a number. */
  readonly name: string;
  /** What the next sidecar hears of messages that the killed one had handed over; undefined when it gets none. */
  readonly again?: 'accepted' | 'duplicate';
}

const STORIES: readonly Story[] = [
  {
    title: 'killed before the receiver hears of it: each message is handed over again and arrives once',
    moment: 'before the receiver hears of it',
    name: 'stranger-before',
    again: 'accepted',
  },
  {
    title: 'killed after the receiver has said yes: the same messages are recognised and arrive once',
    moment: 'after the receiver has said yes',
    name: 'stranger-after',
    again: 'duplicate',
  },
  {
    title: 'killed after the receiver has said yes, when Postfix then succeeds by itself: none is lost',
    moment: 'after the receiver has said yes',
    name: 'friend-after',
  },
];

test('a sidecar is killed while a Postfix waits for its 250', async (context) => {
  await using servers = new AsyncDisposableStack();
  const greylist = createGreylist();
  // The destination never takes mail for strangers from Postfix, and greylists everything else.
  const policy = await startPolicyService(servers, (attributes) =>
    attributes.get('recipient')?.startsWith('stranger') && attributes.get('helo_name') === 'mx1.sender.test'
      ? '451 4.7.1 Not from you'
      : greylist.policy(attributes),
  );
  const dns = await startNsd(servers, '127.0.0.53', { 'postfix.test': '@ MX 10 mx\nmx A 127.0.0.20' });
  const meddler = await startMeddler(servers, '10.10.10.10:8080', 8081);
  const addressesOf = ({ name }: Story) =>
    Array.from({ length: MESSAGES }, (_, index) => `${name}-${index}@postfix.test`);
  const [receiver, sender, postfix] = await Promise.all([
    startReceiver(servers, { dns: dns.server, args: ['--port', '8081'] }),
    startPostfix(servers, {
      name: 'mx1.sender.test',
      address: '127.0.0.1',
      port: 10_025,
      main: { smtp_fallback_relay: `[127.0.0.1]:${SIDECAR.port}` },
    }),
    startPostfix(servers, {
      name: 'mx.postfix.test',
      address: '127.0.0.20',
      mailboxes: STORIES.flatMap(addressesOf),
      main: { smtpd_recipient_restrictions: policy },
    }),
  ]);

  for (const story of STORIES) {
    await context.test(story.title, async () => {
      const addresses = addressesOf(story);
      await using sidecars = new AsyncDisposableStack();
      const killed = await startSidecar(sidecars, SIDECAR);
      const struck = meddler.strike(story.moment, killed.destroy);
      for (const address of addresses) {
        const server = `127.0.0.1:${sender.port}`;
        const mail = { server, from: SENDER, to: [address], content: letter(address) };
        const { status, output } = await submit(servers, mail);
        assert.equal(status, 0, output);
      }
      await struck;
      for (const address of addresses) await sender.logged(new RegExp(`to=<${address}>, .* status=deferred`));

      const restarted = await startSidecar(sidecars, SIDECAR);
      await sender.flush();
      await sender.emptied();
      const { again } = story;
      if (again !== undefined) {
        await until(
          `the sidecar tells ${again}`,
          () => restarted.handedOver().some(({ verdict }) => verdict === again) || undefined,
        );
      }
      for (const address of addresses) {
        const byPostfix = again === undefined;
        const byReceiver = receiver.records(address).length > 0;
        if (byReceiver) await receiver.delivered(address);
        const times = Number(byReceiver) + Number(byPostfix);
        const arrived = await postfix.mailbox(address, Math.max(times, 1));
        assert.equal(arrived.length, times);
        for (const mail of arrived) fieldsBefore(mail, letter(address));
      }
    });
  }
});

function letter(subject: string): Buffer {
  return Buffer.from(`From: ${SENDER}\r\nSubject: ${subject}\r\n\r\nHello.\r\n`);
}
