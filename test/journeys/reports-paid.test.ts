// Reports are paid: when stores fail, when the original is gone, when it is not known whether they were before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeliveryItem } from '../../shared/queue/delivery.ts';
import { REPORT_CREDENTIAL, reportId } from '../../shared/queue/pay-reports.ts';
import { StoreError } from '../../shared/queue/ports.ts';
import { assertQuiet, removeObject } from './inventory.ts';
import { onlyReport } from './read-reports.ts';
import {
  advanceTo,
  delivery,
  letter,
  message,
  reported,
  reportsTo,
  sha256Hex,
  steady,
  told,
} from './transfers.ts';
import { startWorld } from './world.ts';

const MINUTE = 60_000;

test('a report whose original is gone is sent without it', async () => {
  let gone = false;
  await using world = await startWorld({
    wrap: (stores, role) => ({
      ...stores,
      spool: {
        ...stores.spool,
        open: async (key, offset, sizeBytes) =>
          gone && role === 'deliver' && sizeBytes !== 0
            ? undefined
            : stores.spool.open(key, offset, sizeBytes),
      },
      ledger: {
        ...stores.ledger,
        write: async (item) => {
          if (item.delivery?.state === 'owing') gone = true;
          const written = await stores.ledger.write(item);
          if (item.delivery?.state === 'finished') gone = false;
          return written;
        },
      },
    }),
  });
  await world.post(message('gone', ['x@reject.test']));
  await world.deliver();
  gone = false;
  await world.deliver();
  const { parts, text } = await onlyReport(world);
  assert.deepEqual(parts, ['message/delivery-status']);
  assert.match(text, /Your message is not enclosed/);
});

test('a report to a domain that does not exist fails like other mail, and nobody is told of that', async () => {
  await using world = await startWorld();
  await world.post(message('lost', ['x@reject.test'], { sender: 'a@nowhere.test' }));
  assert.equal(await world.deliver(), 2);
  const id = reportId({ credential: 'tester', id: 'lost', chunk: 0 }, 1, 1);
  assert.deepEqual(told(world, id), ['XferIn a@nowhere.test 0', 'Bounce a@nowhere.test 550 connect 1']);
  const [report] = (await world.items({ credential: REPORT_CREDENTIAL, id })).filter(isDeliveryItem);
  assert.deepEqual([report?.delivery.state, report?.delivery.lastOwed], ['finished', 0]);
  await assertQuiet(world);
});

test('while the spool takes nothing a report stays owed; release wakes it every five minutes', async () => {
  let down = true;
  await using world = await startWorld({
    random: steady(),
    lookbackMs: 0,
    wrap: (stores, role) =>
      role === 'deliver'
        ? {
            ...stores,
            spool: {
              ...stores.spool,
              put: async (key, bytes) => {
                if (down) {
                  // As long as anybody waits for it.
                  world.clock.advance(5_000);
                  throw new StoreError('not-applied', 'the spool is down');
                }
                return stores.spool.put(key, bytes);
              },
            },
          }
        : stores,
  });
  await world.post(message('owed', ['x@reject.test']));
  await world.deliver();
  const { state, owed, facts } = await delivery(world, 'owed');
  assert.deepEqual([state, owed.map(({ n, kind }) => [n, kind])], ['owing', [[1, 'failure']]]);
  assert.ok(world.notices.some(({ code }) => code === 'report-unpaid'));

  assert.equal((await world.release()).owing, 1);
  assert.equal(await world.deliver(), 0, 'not while it may be paid by somebody else');
  world.clock.advance(5 * MINUTE);
  assert.equal((await world.release()).owing, 1);
  assert.equal(await world.deliver(), 1, 'woken');
  world.clock.advance(2 * MINUTE);
  assert.equal((await world.release()).owing, 1);
  assert.equal(await world.deliver(), 0, 'not every minute');

  // Beyond the expiry too.
  advanceTo(world, facts.expiresAtMs);
  down = false;
  await world.release();
  assert.equal(await world.deliver(), 2, 'the wake, and the report');
  assert.equal((await delivery(world, 'owed')).state, 'finished');
  const { parts, recipients } = await onlyReport(world);
  assert.deepEqual(
    [parts, recipients[0]?.['status']],
    [['message/delivery-status', 'text/rfc822-headers'], '5.1.1'],
    'the original is kept as long',
  );
  assert.equal((await world.release()).owing, 0);
  await assertQuiet(world);
});

test('a report that was accepted and not marked is not sent twice, even when it would come out otherwise', async () => {
  let marks = 0;
  await using world = await startWorld({
    random: steady(),
    lookbackMs: 0,
    wrap: (stores, role) =>
      role === 'deliver'
        ? {
            ...stores,
            ledger: {
              ...stores.ledger,
              write: async (item) => {
                const marking = item.key.id === 'twice' && item.delivery?.state === 'finished';
                if (marking) marks += 1;
                return marking && marks <= 5 ? false : stores.ledger.write(item);
              },
            },
          }
        : stores,
  });
  await world.post(message('twice', ['x@reject.test']));
  await world.deliver();
  const { state, facts } = await delivery(world, 'twice');
  assert.equal(state, 'owing');
  // Composed again, the report would lack the original's header.
  await removeObject(world, facts.content.key);
  world.clock.advance(MINUTE);
  await world.release();
  await world.deliver();
  assert.equal((await delivery(world, 'twice')).state, 'finished');
  assert.deepEqual(reportsTo(world).map(reported), [['x@reject.test failed 5.1.1']]);
  assert.deepEqual(
    world.notices.filter(({ code }) => code === 'id-reused'),
    [],
  );
  await assertQuiet(world);
});

test('a client cannot take the id of a report: it is another credential', async () => {
  await using world = await startWorld();
  const id = reportId({ credential: 'tester', id: 'mine', chunk: 0 }, 1, 1);
  await world.post(message(id, ['x@ok.test'], { sha256: sha256Hex(letter(id)) }));
  await world.post(message('mine', ['x@reject.test']));
  await world.deliver();
  assert.deepEqual(reportsTo(world).map(reported), [['x@reject.test failed 5.1.1']]);
});
