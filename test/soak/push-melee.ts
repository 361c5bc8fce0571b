// A sidecar between an MTA that keeps trying and two receivers that fail in every way they can, in an order drawn by
// the seed. At the end each message is in exactly one hand: at one receiver, or at the MTA, which in fallback mode
// also delivers by itself. What protocol cannot exclude is counted and must have been told: a receiver that had begun
// when the MTA left, a withdrawal that nobody answered, and a 250 that was written to an MTA that had left (RFC 1047).

import type { ServerResponse } from 'node:http';
import { systemClock } from '../../sidecar/clock.ts';
import type { XferOut } from '../../sidecar/log.ts';
import type { Mode } from '../../sidecar/routing/targets.ts';
import { delayedTo, sidecarFor } from '../dialogs/sidecar-fixture.ts';
import { createLedger, type Ledger } from '../dialogs/sidecar-ledger.ts';
import { fastClock } from '../dialogs/sidecar-push.ts';
import {
  type Answer,
  cut,
  hang,
  type ReceivedRequest,
  type ScriptedReceiver,
  startReceiver,
  status,
  verdicts,
} from '../dialogs/sidecar-receiver.ts';
import { connectRaw, offer, type RawClient } from '../dialogs/sidecar-smtp-client.ts';
import { seeded } from '../journeys/port-orders.ts';

export interface PushMelee {
  readonly faults: readonly string[];
  /** Doubles that were told, and 250s that nobody heard. */
  readonly excused: number;
  readonly offers: number;
  readonly requests: number;
}

export interface PushMeleeOptions {
  readonly seed: number;
  readonly mode: Mode;
  readonly messages: number;
}

/** Sessions of the MTA at once. */
const SESSIONS = 25;
/** How many times as fast the sidecar's time runs. */
const SPEED = 50;
/** One request in so many meets a fault. */
const FAULT_PART = 0.3;
const BRIEF = 'Delivery_Response_Timeout = 4000  Handoff_Deadline = 30  Host_Failure_Retry = 2';

export async function pushMelee({ seed, mode, messages }: PushMeleeOptions): Promise<PushMelee> {
  const random = seeded(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const endings: (() => unknown)[] = [];
  const after = (ending: () => unknown): void => void endings.push(ending);
  const hosts = [await createHost(random), await createHost(random)];
  const ports = hosts.map(({ port }) => port);
  const settings = delayedTo(ports, BRIEF);
  const { port, records, sidecar } = await sidecarFor(
    { after },
    mode === 'delayed' ? settings : settings.replace('Delayed_Reroute_Domain', 'Reroute_Domain'),
    { clock: fastClock(SPEED), random },
  );
  const outages = setInterval(() => void hosts[below(2)]?.restart(20 + below(100)), 150);

  const queue = Array.from({ length: messages }, (_, index) => index);
  const atMta = new Set<number>();
  const heard = new Set<number>();
  let offers = 0;
  const session = async (): Promise<void> => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
      offers += 1;
      const reply = await offerOnce(port, contentOf(index), random() < 0.05 ? below(120) : undefined);
      if (reply.startsWith('250')) heard.add(index);
      // The MTA tries the destination itself before it comes to us again.
      else if (mode === 'delayed' && random() < 0.3) atMta.add(index);
      else {
        await new Promise<void>((wake) => systemClock.after(below(40), wake));
        queue.push(index);
      }
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
  clearInterval(outages);
  await Promise.all(hosts.map((host) => host.settled()));
  await sidecar.close();
  for (const end of endings.toReversed()) await end();
  for (const host of hosts) await host.close();

  const out = records.filter((record) => record.type === 'XferOut');
  const told = records.flatMap((record) =>
    record.type === 'Notice' && /double-possible|withdrawal-unconfirmed/.test(record.code)
      ? [record.message.split(' ')[0] ?? '']
      : [],
  );
  const places = placesOf(hosts);
  const judged = judge({ mode, messages, places, atMta, heard, told: new Set(told), out });
  return { ...judged, offers, requests: hosts.reduce((sum, host) => sum + host.requests(), 0) };
}

interface Account {
  readonly mode: Mode;
  readonly messages: number;
  /** Ids that receivers hold, by the number of the message. */
  readonly places: ReadonlyMap<number, readonly string[]>;
  readonly atMta: ReadonlySet<number>;
  readonly heard: ReadonlySet<number>;
  readonly told: ReadonlySet<string>;
  readonly out: readonly XferOut[];
}

function judge(account: Account): Pick<PushMelee, 'faults' | 'excused'> {
  const { mode, messages, places, atMta, heard, told, out } = account;
  const faults: string[] = [];
  let excused = 0;
  // The sidecar has written 250 and cannot know that the MTA had left.
  const answered = new Set(
    out.flatMap(({ id, response, client_gone }) => (response.code === 250 && !client_gone ? [id] : [])),
  );
  for (let index = 0; index < messages; index += 1) {
    const ids = places.get(index) ?? [];
    const hands = ids.length + (atMta.has(index) ? 1 : 0);
    if (hands === 0) faults.push(`message ${index} is lost`);
    if (heard.has(index) && ids.length === 0) faults.push(`message ${index} was answered 250 and is nowhere`);
    if (ids.length > 1) faults.push(`message ${index} is at both receivers`);
    if (hands === 2 && ids.length === 1) {
      if (ids.some((id) => told.has(id) || answered.has(id))) excused += 1;
      else faults.push(`message ${index} is at a receiver and at its MTA, and nobody was told`);
    }
  }
  if (mode === 'rerouted') {
    if (out.some(({ withdrawal }) => withdrawal !== null)) faults.push('rerouted mail was withdrawn');
    if (told.size > 0) faults.push('rerouted mail was told as a double');
  }
  return { faults, excused };
}

function contentOf(index: number): string {
  return `Subject: ${index}\r\n\r\n${'Some text of a message.\r\n'.repeat(index % 50)}`;
}

/** One offer of an MTA, which leaves after `patienceMs` where that is given: the reply, or what went wrong. */
async function offerOnce(port: number, content: string, patienceMs: number | undefined): Promise<string> {
  let client: RawClient | undefined;
  try {
    client = await connectRaw(port);
    await offer(client, ['a@example.net'], content);
    const { socket } = client;
    if (patienceMs !== undefined) systemClock.after(patienceMs, () => socket.destroy());
    return await client.reply();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    client?.socket.destroy();
  }
}

interface Host {
  readonly port: number;
  readonly ledger: Ledger;
  requests(): number;
  /** Gone for a while, with every connection. */
  restart(forMs: number): Promise<void>;
  /** Up again, when it was going down. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

async function createHost(random: () => number): Promise<Host> {
  const ledger = createLedger();
  const post = faulty(random, ledger, POST_FAULTS);
  const withdrawal = faulty(random, ledger, DELETE_FAULTS);
  const open = async (port?: number): Promise<ScriptedReceiver> => {
    const receiver = await startReceiver(port);
    receiver.script('POST', [], post);
    receiver.script('DELETE', [], withdrawal);
    return receiver;
  };
  let receiver = await open();
  const { port } = receiver;
  let requests = 0;
  let restarting: Promise<void> | undefined;
  const restart = async (forMs: number): Promise<void> => {
    requests += receiver.requests.length;
    await receiver.close();
    await new Promise<void>((wake) => systemClock.after(forMs, wake));
    receiver = await open(port);
    restarting = undefined;
  };
  return {
    port,
    ledger,
    requests: () => requests + receiver.requests.length,
    restart: (forMs) => (restarting ??= restart(forMs)),
    settled: async () => restarting,
    close: () => receiver.close(),
  };
}

type Fault = (ledger: Ledger, request: ReceivedRequest, random: () => number) => Answer;

/** Goes on with the request when its client has long stopped to listen. */
const storeLate: Fault = (ledger, request, random) => (_, response) => {
  systemClock.after(random() * 150, () => ledger.storing(cut)(request, response));
};

/** Stores some and answers for these alone. */
const storeSome: Fault = (ledger, request, random) => (_, response) => {
  const frames = request.frames.filter(() => random() < 0.5);
  const ids = frames.map(({ header }) => String(header['id']));
  ledger.honest({ ...request, frames, ids }, response);
};

const refuseAll = verdicts(
  ({ ids }) =>
    ids.map((id) => ({ id, status: 'refused', reply: { code: 451, enhanced: '4.3.0', text: 'not now' } })),
  422,
);

const POST_FAULTS: readonly Fault[] = [
  () => status(500),
  (ledger) => ledger.storing(status(503)),
  () => status(429),
  () => status(429, { 'retry-after': '1' }),
  () => status(413),
  () => status(401),
  () => hang,
  (ledger) => ledger.storing(hang),
  () => cut,
  (ledger) => ledger.storing(cut),
  (ledger) => ledger.storing(verdicts(() => [{ id: 'another', status: 'accepted' }])),
  (ledger) => ledger.storing((_, response: ServerResponse) => void response.socket?.end('220 hello\r\n')),
  () => refuseAll,
  storeLate,
  storeSome,
];

const DELETE_FAULTS: readonly Fault[] = [
  () => status(500),
  () => cut,
  (ledger, request) => (_, response) => {
    ledger.honest(request, { writeHead: () => undefined, end: () => response.socket?.destroy() } as never);
  },
];

function faulty(random: () => number, ledger: Ledger, faults: readonly Fault[]): Answer {
  return (request, response) => {
    const fault = random() < FAULT_PART ? faults[Math.floor(random() * faults.length)] : undefined;
    (fault?.(ledger, request, random) ?? ledger.honest)(request, response);
    // Deliveries begin, and what has begun is not withdrawn any more.
    if (request.method === 'POST' && random() < 0.05) {
      for (const id of request.ids) if (ledger.held().has(id)) ledger.begin(id);
    }
  };
}

function placesOf(hosts: readonly Host[]): ReadonlyMap<number, readonly string[]> {
  const places = new Map<number, string[]>();
  for (const { ledger } of hosts) {
    for (const [id, content] of ledger.held()) {
      const index = Number(/^Subject: (\d+)\r\n/.exec(content.toString('latin1'))?.[1]);
      const ids = places.get(index) ?? [];
      ids.push(id);
      places.set(index, ids);
    }
  }
  return places;
}
