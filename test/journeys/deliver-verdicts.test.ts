// What destinations say, recipient by recipient, and what becomes of it: endings, log records, reports.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertQuiet } from './inventory.ts';
import {
  advanceTo,
  arrived,
  deliveries,
  delivery,
  letter,
  message,
  recordsOf,
  reported,
  reportsTo,
  steady,
  told,
} from './transfers.ts';
import { startWorld } from './world.ts';

test('a rejected message is settled, logged and reported, and nothing of it stays', async () => {
  await using world = await startWorld({ lookbackMs: 0 });
  await world.post(message('no', ['anyone@reject.test'], { meta: { tenant: 'acme' }, attempts: 0 }));
  assert.equal(await world.deliver(), 2, 'the message, and the report');

  const { state, recipients, owed, facts } = await delivery(world, 'no');
  assert.equal(state, 'finished');
  const [recipient] = recipients;
  assert.equal(recipient?.ending?.kind, 'bounced');
  assert.deepEqual(recipient?.ending?.reply, {
    code: 550,
    enhanced: '5.1.1',
    text: 'no such mailbox here',
    host: 'mx1.sink.test',
  });
  assert.deepEqual(owed, []);
  assert.deepEqual(reportsTo(world).map(reported), [['anyone@reject.test failed 5.1.1']]);
  await assertQuiet(world);

  const record = recordsOf(world, 'no').at(-1);
  assert.ok(record !== undefined);
  const { timestamp, created, event_id, ...rest } = record;
  assert.deepEqual(rest, {
    type: 'Bounce',
    id: 'no',
    credential: 'tester',
    sender: 'a@sender.example',
    recipient: 'anyone@reject.test',
    queue: 'reject.test',
    site: '(mx1|mx2).sink.test',
    size: 70,
    response: { code: 550, enhanced_code: '5.1.1', content: 'no such mailbox here', command: 'rcpt' },
    peer_address: { name: 'mx1.sink.test', addr: '127.0.0.11' },
    delivery_protocol: 'ESMTP',
    num_attempts: 1,
    egress_source: 'default',
    reception_protocol: 'XFER',
    meta: { tenant: 'acme' },
  });
  assert.match(event_id, /^[A-Za-z0-9_-]{22}$/);
  assert.ok(timestamp >= created);
  assert.equal(created, facts.receivedAtMs / 1_000);
  assert.equal((await world.release()).owing, 0);
});

test('a rejection after the content bounces every recipient', async () => {
  await using world = await startWorld();
  await world.post(message('late', ['b@reject-data.test', 'a@reject-data.test']));
  await world.deliver();
  assert.deepEqual(told(world, 'late').slice(2), [
    'Bounce a@reject-data.test 554 final 1',
    'Bounce b@reject-data.test 554 final 1',
  ]);
  assert.deepEqual(reportsTo(world).map(reported), [
    ['a@reject-data.test failed 5.6.0', 'b@reject-data.test failed 5.6.0'],
  ]);
});

test('recipients of one domain each get their own verdict, in one dialogue', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('mixed', ['ok+1@mixed.test', 'reject@mixed.test', 'defer-1@mixed.test']));
  assert.equal(await world.deliver(), 2, 'the message, and the report of who was rejected');
  const open = await delivery(world, 'mixed');
  assert.deepEqual(
    open.recipients.map(({ address, ending }) => [address, ending?.kind]),
    [
      ['defer-1@mixed.test', undefined],
      ['ok+1@mixed.test', 'delivered'],
      ['reject@mixed.test', 'bounced'],
    ],
  );
  assert.equal(open.state, 'open');
  assert.deepEqual([open.owed, open.lastOwed], [[], 1]);
  assert.deepEqual(reportsTo(world).map(reported), [['reject@mixed.test failed 5.1.1']]);
  const due = recordsOf(world, 'mixed')
    .filter(({ type }) => type !== 'XferIn')
    .map(({ type, next_due }) => [type, next_due !== undefined]);
  assert.deepEqual(
    due,
    [
      ['TransientFailure', true],
      ['Delivery', false],
      ['Bounce', false],
    ],
    'only who was deferred is due again',
  );

  advanceTo(world, open.dueAtMs);
  await world.deliver();
  assert.deepEqual(told(world, 'mixed').slice(3), [
    'TransientFailure defer-1@mixed.test 450 rcpt 1',
    'Delivery ok+1@mixed.test 250 final 1',
    'Bounce reject@mixed.test 550 rcpt 1',
    'Delivery defer-1@mixed.test 250 final 2',
    // Told again under their event ids when the delivery closes, in case a crash kept them from the log.
    'Delivery ok+1@mixed.test 250 1',
    'Bounce reject@mixed.test 550 1',
  ]);
  assert.deepEqual(
    world.sink.received.map((mail) => mail.recipients.map(({ address }) => address)),
    [['ok+1@mixed.test'], ['a@sender.example'], ['defer-1@mixed.test']],
  );
  assert.equal((await delivery(world, 'mixed')).state, 'finished');
});

test('recipients in three domains are three deliveries, each with its own fate', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('three', ['c@ok.test', 'b@defer-twice.test', 'a@reject.test', 'd@ok.test']));
  assert.equal(await world.deliver(), 4, 'three deliveries, and a report');
  const after = await deliveries(world, 'three');
  assert.deepEqual(
    after.map(({ key, delivery: { facts, state, recipients } }) => [
      key.chunk,
      facts.domain,
      state,
      recipients.map(({ address }) => address).join(' '),
    ]),
    [
      [1, 'defer-twice.test', 'open', 'b@defer-twice.test'],
      [2, 'ok.test', 'finished', 'c@ok.test d@ok.test'],
      [3, 'reject.test', 'finished', 'a@reject.test'],
    ],
  );
  const [deferred] = after;
  assert.ok(deferred !== undefined);
  advanceTo(world, deferred.delivery.dueAtMs);
  assert.equal(await world.deliver(), 1);
  const [twice] = await deliveries(world, 'three');
  advanceTo(world, twice?.delivery.dueAtMs ?? 0);
  assert.equal(await world.deliver(), 1);
  assert.deepEqual(arrived(world, 'b@defer-twice.test'), [letter('three')]);
  assert.deepEqual(arrived(world, 'c@ok.test'), [letter('three')]);
  assert.deepEqual(reportsTo(world).map(reported), [['a@reject.test failed 5.1.1']]);
  await assertQuiet(world);
});

test('a rejected message with the null reverse path finishes without a report', async () => {
  await using world = await startWorld();
  await world.post(message('null', ['anyone@reject.test'], { sender: '' }));
  await world.deliver();
  const { state, owed, recipients } = await delivery(world, 'null');
  assert.equal(state, 'finished');
  assert.deepEqual(owed, []);
  assert.equal(recipients[0]?.ending?.kind, 'bounced');
  assert.deepEqual(told(world, 'null').at(-1), 'Bounce anyone@reject.test 550 rcpt 1');
  await assertQuiet(world);
});

test('a recipient with NOTIFY=NEVER, or for success alone, is owed no report of failure', async () => {
  await using world = await startWorld();
  await world.post(
    message('quiet', [
      { address: 'a@reject.test', notify: ['NEVER'] },
      { address: 'b@reject.test', notify: ['SUCCESS', 'DELAY'] },
    ]),
  );
  await world.deliver();
  assert.equal((await delivery(world, 'quiet')).state, 'finished');
  await assertQuiet(world);

  await world.post(
    message('asked', [
      { address: 'a@reject.test', notify: ['NEVER'] },
      { address: 'b@reject.test', notify: ['FAILURE'] },
    ]),
  );
  await world.deliver();
  assert.equal((await delivery(world, 'asked')).state, 'finished');
  assert.deepEqual(reportsTo(world).map(reported), [['b@reject.test failed 5.1.1']]);
});

test('an envelope goes out with its DSN parameters', async () => {
  await using world = await startWorld();
  const recipient = { address: 'x@ok.test', notify: ['FAILURE', 'DELAY'], orcpt: 'rfc822;old+x@ok.test' };
  await world.post(message('dsn', [recipient], { envid: 'QQ 314', ret: 'HDRS' }));
  await world.deliver();
  const [mail] = world.sink.received;
  assert.equal(mail?.parameters['RET'], 'HDRS');
  assert.equal(mail?.parameters['ENVID'], 'QQ 314');
  assert.deepEqual(mail?.recipients, [
    {
      address: 'x@ok.test',
      parameters: { NOTIFY: 'DELAY,FAILURE', ORCPT: 'rfc822;old+x@ok.test' },
    },
  ]);
});

test('8-bit content is announced with BODY=8BITMIME and arrives octet for octet', async () => {
  await using world = await startWorld();
  const content =
    'Subject: 8 bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe \u2603\r\n.\u00e4\r\n';
  await world.post(message('eight', ['anyone@ok.test'], { content }));
  await world.deliver();
  const [mail] = world.sink.received;
  assert.equal(mail?.parameters['BODY'], '8BITMIME');
  assert.equal(arrived(world, 'anyone@ok.test')[0], Buffer.from(content).toString('latin1'));
});

test('8-bit content bounces at a destination without 8BITMIME, and 7-bit content goes there', async () => {
  await using world = await startWorld();
  await world.post(
    message('8bit', ['anyone@plain.test'], { content: 'Subject: 8 bit\r\n\r\nGr\u00fc\u00dfe\r\n' }),
  );
  await world.post(message('7bit', ['anyone@plain.test']));
  assert.equal(await world.deliver(), 3);
  assert.deepEqual(told(world, '8bit').slice(1), ['Bounce anyone@plain.test 554 mail 1']);
  assert.deepEqual(told(world, '7bit').slice(1), ['Delivery anyone@plain.test 250 final 1']);
  const [plain] = world.sink.received.filter(({ sender }) => sender !== '');
  assert.equal(plain?.recipients[0]?.address, 'anyone@plain.test');
  assert.equal(plain?.parameters['BODY'], undefined);
});

test('a mailbox beyond US-ASCII is sent with SMTPUTF8; where it is not offered, the mailbox bounces', async () => {
  await using world = await startWorld();
  await world.post(message('utf8', ['j\u00f6rg@utf8.test']));
  await world.post(message('old', ['j\u00f6rg@plain.test', 'joerg@plain.test']));
  assert.equal(await world.deliver(), 3);
  const utf8 = world.sink.received.find(({ recipients }) => recipients[0]?.address === 'j\u00f6rg@utf8.test');
  assert.equal(utf8?.parameters['SMTPUTF8'], true);
  assert.deepEqual(told(world, 'old').slice(2), [
    'Delivery joerg@plain.test 250 final 1',
    'Bounce j\u00f6rg@plain.test 553 rcpt 1',
  ]);
});

test('an internationalised domain is scheduled by its A-labels and gets its mail', async () => {
  await using world = await startWorld();
  await world.post(message('idn', ['anyone@b\u00fccher.test']));
  await world.deliver();
  const { facts, state } = await delivery(world, 'idn');
  assert.equal(facts.domain, 'xn--bcher-kva.test');
  assert.equal(state, 'finished');
  assert.equal(world.sink.received.length, 1);
});

test('event ids are those of the event: the same for nobody else, and twice the same for a repeat', async () => {
  await using world = await startWorld({ random: steady() });
  await world.post(message('ids', ['defer-2@ok.test', 'ok@ok.test']));
  await world.deliver();
  advanceTo(world, (await delivery(world, 'ids')).dueAtMs);
  await world.deliver();
  const ids = recordsOf(world, 'ids').map(({ event_id }) => event_id);
  assert.equal(ids.length, 5);
  assert.equal(new Set(ids).size, 5);
});
