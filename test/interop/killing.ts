// A Postfix and an Exim hand mail over in both modes at once while the sidecar, or the receiver, is killed again and
// again; and the account of it: what became of every recipient's message.
//
// In fallback mode the destination refuses an MTA's first attempt; later ones it takes, except for recipients whose
// name says never. So an MTA that heard no 250 may deliver by itself what the receiver has: a double, the only kind
// that there may be.

import assert from 'node:assert/strict';
import { hostname, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lifetime } from './directory.ts';
import { documentedSidecar, startDocumentedExim, startDocumentedPostfix } from './documented-senders.ts';
import type { Random } from './generated-mail.ts';
import { type Letter, submitAll } from './letters.ts';
import { startMeddler } from './meddler.ts';
import { startNsd } from './name-servers.ts';
import type { Postfix } from './postfix.ts';
import { runWell } from './program.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type RecordingSink, startRecordingSink } from './recording-sink.ts';
import { type SidecarProcess, startSidecar } from './sidecar.ts';
import { until } from './until.ts';

const SINK = '10.20.0.60';
/** A receiver that is not next door: each transfer is under way for this long at least. */
const HOLD_ANSWERS_MS = 100;
const API_PORT = 8081;
/** As for nice(1). */
const LESS_URGENT = 10;
/** Of each stream, before each kill. */
const LETTERS = 6;
const MOST_PAUSE_MS = 200;
const RELOAD_AFTER_MS = 8_000;
const PATIENCE_MS = 5_000;

interface Mta {
  readonly port: number;
  log(): Promise<string>;
  emptied(): Promise<void>;
}

export interface Stream {
  readonly mta: 'Postfix' | 'Exim';
  readonly mode: 'fallback' | 'reroute';
}

export const STREAMS: readonly Stream[] = [
  { mta: 'Postfix', mode: 'fallback' },
  { mta: 'Postfix', mode: 'reroute' },
  { mta: 'Exim', mode: 'fallback' },
  { mta: 'Exim', mode: 'reroute' },
];

export interface World {
  readonly mtas: Readonly<Record<Stream['mta'], Mta>>;
  readonly sink: RecordingSink;
  readonly configuration: string;
  underWay(): number;
  /** The one that was started with it. */
  readonly receiver: Receiver;
  /** Another one in its place, with the same arguments. */
  startReceiver(): Promise<Receiver>;
}

/**
 * Everything but the sidecar and the receiver. MTAs look at their queues every second. All of it is less urgent than
 * other programs: the receiver has its stores in its own process, and one that answers late has failed.
 */
export async function startWorld(lifetime: Lifetime, receiverArgs: readonly string[] = []): Promise<World> {
  await runWell('/usr/sbin/ip', ['address', 'replace', `${SINK}/32`, 'dev', 'lo']);
  const atSink = `@ MX 10 mx\nmx A ${SINK}`;
  const dns = await startNsd(lifetime, '127.0.0.53', { 'late.test': atSink, 'gmail.com': atSink });
  const places = ['--port', String(API_PORT), '--smtp-port', '2599', '--allow-network', '10.20.0.0/16'];
  const start = () => startReceiver(lifetime, { dns: dns.server, args: [...places, ...receiverArgs] });
  const receiver = await start();
  setPriority(LESS_URGENT);
  const seen = new Set<string>();
  const sink = await startRecordingSink(lifetime, SINK, {
    tls: false,
    refuse({ from, command, recipient }) {
      if (from === hostname() || command !== 'RCPT') return undefined;
      const isFirst = !seen.has(recipient);
      seen.add(recipient);
      return isFirst || recipient.includes('never') ? '451 4.7.1 Not now' : undefined;
    },
  });
  const meddler = await startMeddler(lifetime, '10.10.10.10:8080', API_PORT, HOLD_ANSWERS_MS);
  const [postfix, exim] = await Promise.all([
    startDocumentedPostfix(lifetime, {
      name: 'mx1.sender.test',
      port: 10_025,
      main: { minimal_backoff_time: '2s', maximal_backoff_time: '2s', queue_run_delay: '1s' },
    }),
    startDocumentedExim(lifetime, {
      name: 'mx2.sender.test',
      port: 10_026,
      queueRunSeconds: 1,
      retry: '*  *  F,1h,1s',
    }),
  ]);
  return {
    mtas: { Postfix: { ...postfix, emptied: () => emptiedAtLast(postfix) }, Exim: exim },
    sink,
    configuration: await documentedSidecar(lifetime),
    underWay: meddler.underWay,
    receiver,
    startReceiver: start,
  };
}

/**
 * With retries after two seconds the queue manager may meet a message whose delivery agent has not let go of it yet
 * ("skipped, still being delivered"); then it leaves the message alone until it starts anew.
 */
async function emptiedAtLast(postfix: Postfix): Promise<void> {
  let nextReloadAt = performance.now() + RELOAD_AFTER_MS;
  await until('Postfix has no message any more', async () => {
    if ((await postfix.queue()).length === 0) return true;
    if (performance.now() > nextReloadAt) {
      nextReloadAt = performance.now() + RELOAD_AFTER_MS;
      await postfix.reload();
    }
    return undefined;
  });
}

/** A sidecar, and another one as soon as it is killed. */
export async function superviseSidecar(lifetime: Lifetime, { configuration }: World) {
  let running = await startSidecar(lifetime, { configuration });
  const gone: SidecarProcess[] = [];
  return {
    async kill(): Promise<void> {
      await running.destroy();
      gone.push(running);
      running = await startSidecar(lifetime, { configuration });
    },
    handedOver: () => [...gone, running].flatMap((sidecar) => sidecar.handedOver()),
  };
}

/** Mail of all streams. */
export type Round = readonly (Stream & { readonly letters: readonly Letter[] })[];

/** A fifth has three recipients. */
export function drawRound(random: Random, round: number): Round {
  return STREAMS.map((stream) => ({
    ...stream,
    letters: Array.from({ length: LETTERS }, (_, index) => {
      const name =
        `${stream.mta}-${stream.mode}-${round}-${index}${random() < 0.5 ? '-never' : ''}`.toLowerCase();
      const domain = stream.mode === 'fallback' ? 'late.test' : 'gmail.com';
      const recipients = (index % 5 === 0 ? ['a', 'b', 'c'] : ['a']).map((letter) => ({
        address: `${name}-${letter}@${domain}`,
        rcpt: '',
      }));
      const body = 'All work and no play.\r\n'.repeat(Math.floor(random() * 400));
      const content = Buffer.from(
        `From: <alice@sender.test>\r\nMessage-ID: <${name}@sender.test>\r\n\r\n${body}`,
      );
      return { form: 'plain', content, mail: '', sender: 'alice@sender.test', recipients };
    }),
  }));
}

/** Submits the round, and resolves at a drawn moment while transfers are under way. */
export async function inTheMiddle(world: World, random: Random, round: Round): Promise<void> {
  await Promise.all(round.map(({ mta, letters }) => submitAll(world.mtas[mta].port, letters, 2)));
  await until('a transfer is under way', () => world.underWay() > 0 || undefined);
  await pause(random() * MOST_PAUSE_MS);
}

export interface Account {
  readonly recipients: number;
  /** Recipients whose message the receiver took, and those of them whom it has not delivered to yet: in the ledger. */
  readonly taken: number;
  readonly waiting: number;
  /** Recipients to whom the MTA delivered by itself, and those of them whose message the receiver took as well. */
  readonly byMta: number;
  readonly doubled: number;
  /** Recipients whose message a receiver took, and the MTA never heard so: in flight at some kill. */
  readonly unheard: number;
}

/**
 * Waits until the MTA's queue is empty, and asserts of every recipient: the receiver has its message under one id, or
 * its MTA has delivered it; nobody delivers twice; both have it only in fallback mode, when it was in flight at a kill.
 * Waits for the receiver's deliveries, though not for those that a killed one had begun: their leases last a while.
 */
export async function account(
  world: World,
  stream: Stream,
  letters: readonly Letter[],
  receivers: readonly Receiver[],
): Promise<Account> {
  const mta = world.mtas[stream.mta];
  await mta.emptied();
  const log = await mta.log();
  const heard = new Set([...log.matchAll(/250 2\.0\.0 (\S+) accepted/g)].map(([, id]) => id));
  const ids = idsByRecipient(receivers);
  const recipients = letters.flatMap((letter) =>
    letter.recipients.map(({ address }) => ({ address, letter })),
  );
  const arrivedFrom = (address: string, isOurs: boolean) =>
    world.sink.deliveries(address).filter(({ from }) => (from === hostname()) === isOurs);
  const giveUpAt = performance.now() + PATIENCE_MS;
  const isWaiting = ({ address }: { readonly address: string }) =>
    ids.has(address) && arrivedFrom(address, true).length === 0;
  await until('deliveries', () => !recipients.some(isWaiting) || performance.now() > giveUpAt || undefined);

  const told = { recipients: recipients.length, taken: 0, waiting: 0, byMta: 0, doubled: 0, unheard: 0 };
  for (const { address, letter } of recipients) {
    const [id, ...otherIds] = ids.get(address) ?? [];
    assert.deepEqual(otherIds, [], `${address} is at the receiver under several ids`);
    const byReceiver = arrivedFrom(address, true);
    const byMta = arrivedFrom(address, false);
    assert.ok(
      byReceiver.length <= 1 && byMta.length <= 1,
      `${address}: ${byReceiver.length}, ${byMta.length}`,
    );
    for (const { content } of [...byReceiver, ...byMta]) {
      assert.ok(content.subarray(-letter.content.length).equals(letter.content), `${address}: octets`);
    }
    const wasUnheard = id !== undefined && !heard.has(id);
    assert.ok(id !== undefined || byMta.length === 1, `${address} is lost\n${linesOf(log, address)}`);
    if (id !== undefined && byMta.length === 1) {
      assert.equal(stream.mode, 'fallback', `${address} came twice\n${linesOf(log, address)}`);
      assert.ok(wasUnheard, `${address} came twice, and its MTA had heard the 250\n${linesOf(log, address)}`);
      told.doubled += 1;
    }
    if (id !== undefined) told.taken += 1;
    if (id !== undefined && byReceiver.length === 0) told.waiting += 1;
    if (byMta.length === 1) told.byMta += 1;
    if (wasUnheard) told.unheard += 1;
  }
  return told;
}

function idsByRecipient(receivers: readonly Receiver[]): ReadonlyMap<string, ReadonlySet<string>> {
  const ids = new Map<string, Set<string>>();
  for (const { type, recipient, id } of receivers.flatMap((receiver) => receiver.records())) {
    if (type === 'XferIn') ids.set(recipient, (ids.get(recipient) ?? new Set()).add(id));
  }
  return ids;
}

function linesOf(log: string, address: string): string {
  return log
    .split('\n')
    .filter((line) => line.includes(address))
    .join('\n');
}
