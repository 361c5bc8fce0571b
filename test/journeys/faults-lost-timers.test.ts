// I5: a lost timer is only a delay, and what was accepted can be rebuilt: the ledger from the spool, the timers from
// the ledger.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_UNSETTLED_LEASES } from '../../shared/queue/wake.ts';
import { parseFrames } from '../../shared/xfer/frame-parser.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import { createClient, type Letter, SENDER } from './port-client.ts';
import { play } from './port-play.ts';
import { complaints, limitsOf } from './port-points.ts';
import { SCENARIOS } from './port-scenarios.ts';
import { createMemoryStage, type MemoryStage } from './port-stage.ts';
import { createTrial } from './port-trial.ts';

/** The stage of a scenario whose timers are all taken away at the n-th look into the queue. */
function purgedAt(
  stage: MemoryStage,
  look: number,
): { readonly stage: MemoryStage; readonly looks: () => number } {
  let looks = 0;
  const purged: MemoryStage = {
    ...stage,
    async receiveTimers() {
      looks += 1;
      if (looks === look) stage.stores.purge();
      return stage.receiveTimers();
    },
  };
  return { stage: purged, looks: () => looks };
}

for (const scenario of SCENARIOS) {
  test(`${scenario.title}: all timers are taken away at any moment, and every delivery still ends`, async (t) => {
    const outcomes = [];
    let last = 1;
    for (let look = 1; look <= last; look += 1) {
      const stage = createMemoryStage({
        limits: limitsOf(scenario),
        ...(scenario.tempo === undefined ? {} : { tempo: scenario.tempo }),
      });
      const purged = purgedAt(stage, look);
      const { faults } = await play(scenario, purged.stage, {
        name: 'trial',
        manner: 'repeats',
        strikes: [],
      });
      // Without harm there are so many looks; a purge later than the last would take nothing.
      if (look === 1) last = Math.min(purged.looks(), MOST_LOOKS);
      outcomes.push({ title: `at look ${look}`, faults });
    }
    t.diagnostic(`${outcomes.length} moments`);
    assert.deepEqual(complaints(outcomes), []);
  });
}

const MOST_LOOKS = 12;

const CONTENT = Buffer.from(
  `From: ${SENDER}\r\nSubject: kept\r\n\r\n.dot\r\n\x00\x80\xff\r\n{"id":"not-a-frame"}\r\n`,
  'latin1',
);

const LETTERS: readonly Letter[] = [
  {
    id: 'kept-1',
    recipients: ['ok+1@ok.test', 'ok+2@mixed.test'],
    content: CONTENT,
    fields: { envid: 'QQ314159', ret: 'HDRS', receivedFrom: 'mx1.example.com', meta: { tenant: 'acme' } },
  },
  { id: 'kept-2', recipients: ['ok+3@ok.test'], content: Buffer.concat([CONTENT, CONTENT]) },
  { id: 'kept-3', recipients: ['ok+4@ok.test'], content: CONTENT, upload: true },
];

test('the spool alone tells every accepted message: credential, time, frame and octets', async () => {
  const { stage } = await accepted();
  const kept = stage.stores
    .objectKeys()
    .filter((key) => !key.endsWith('/upload'))
    .flatMap((key) => framesIn(stage, key));
  assert.deepEqual(kept.map(({ id }) => id).sort(), ['kept-1', 'kept-2', 'kept-3']);
  for (const { id, about, fields, content } of kept) {
    const letter = LETTERS.find((one) => one.id === id);
    assert.deepEqual(about, {
      v: 1,
      credential: 'tester',
      acceptedAt: '2026-11-22T10:00:00.000Z',
      traceHost: 'xfer.test.example',
    });
    assert.deepEqual(fields, {
      sender: SENDER,
      recipients: letter?.recipients,
      upload: letter?.upload === true,
      ...(id === 'kept-1' ? { envid: 'QQ314159', ret: 'HDRS', receivedFrom: 'mx1.example.com' } : {}),
      meta: id === 'kept-1' ? { tenant: 'acme' } : {},
    });
    assert.deepEqual(content, letter?.upload === true ? undefined : letter?.content);
  }
});

test('with ledger and queue lost, the kept frames handed over again are delivered octet for octet', async () => {
  const { stage: lost } = await accepted();
  const stage = createMemoryStage();
  const trial = createTrial('rebuilt', stage);
  for (const key of lost.stores.objectKeys()) {
    const octets = lost.stores.object(key) ?? Buffer.alloc(0);
    if (key.endsWith('/upload')) stage.stores.putObject(key, octets);
    else {
      const frames = octets.subarray(octets.indexOf(0x0a) + 1);
      const answer = await trial.request({
        method: 'POST',
        path: '/delay_message',
        headers: { 'content-type': 'application/vnd.delay-xfer.v1' },
        body: Buffer.from(frames),
      });
      assert.equal(answer?.status, 200);
    }
  }
  await trial.deliverAll();
  const delivered = stage.arrived().map(({ recipients, content }) => {
    return [recipients, content.subarray(-CONTENT.length).equals(CONTENT)];
  });
  assert.deepEqual(delivered.sort(), [
    [['ok+1@ok.test'], true],
    [['ok+2@mixed.test'], true],
    [['ok+3@ok.test'], true],
    [['ok+4@ok.test'], true],
  ]);
});

test('a delivery whose attempts crash ten times is held, with its content, for an operator', async () => {
  const stage = createMemoryStage();
  const trial = createTrial('poison', stage);
  const [, letter] = LETTERS;
  if (letter === undefined) throw new Error('no letter');
  await createClient(trial, 'repeats').handOver([letter]);
  for (let crash = 1; crash <= MAX_UNSETTLED_LEASES; crash += 1) {
    await trial.deliver(await stage.receiveTimers(), async (call) => {
      if (call.name !== 'smtp.begin') return;
      trial.book.strikes.push({ role: 'deliver', at: trial.book.counts.deliver, harm: 'crash before' });
    });
    await stage.sleep(1_000_000);
  }
  await trial.deliverAll();
  const [item] = await trial.items(letter.id);
  assert.deepEqual(
    [item?.delivery?.state, item?.delivery?.heldBecause],
    ['held', 'it was leased 10 times without a settle'],
  );
  assert.equal(stage.stores.objectKeys().length, 1);
  assert.deepEqual(stage.arrived(), []);
});

async function accepted() {
  const stage = createMemoryStage();
  const trial = createTrial('kept', stage);
  const client = createClient(trial, 'repeats');
  await client.handOver(LETTERS);
  return { stage, trial };
}

function framesIn(stage: MemoryStage, key: string) {
  const octets = Buffer.from(stage.stores.object(key) ?? []);
  const lf = octets.indexOf(0x0a);
  const about: unknown = JSON.parse(octets.toString('utf8', 0, lf));
  const parsed = parseFrames(octets.subarray(lf + 1), DEFAULT_LIMITS, stage.nowMs());
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problem));
  return parsed.messages.map((message) => {
    if (message.kind === 'refused') throw new Error(message.reply.text);
    const { id, envelope, upload, receivedFrom, meta } = message.header;
    const { sender, recipients, envid, ret } = envelope;
    const fields = {
      sender,
      recipients: recipients.map(({ address }) => address),
      upload,
      ...(envid === undefined ? {} : { envid }),
      ...(ret === undefined ? {} : { ret }),
      ...(receivedFrom === undefined ? {} : { receivedFrom }),
      meta,
    };
    return { id, about, fields, content: message.kind === 'message' ? message.content : undefined };
  });
}
