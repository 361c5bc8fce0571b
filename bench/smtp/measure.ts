// The SMTP part of the bench: the same messages over one connection to one sink, by our client, by nodemailer's, by
// the whole way of a delivery, and by mail servers that drain a queue; near, and far away.
//
// Near, one after another, in an order that turns with the rounds, since each would take the processor from the
// others. Far, all at once: there each waits for its sink nearly all the time, and all meet the same moments.

import { existsSync } from 'node:fs';
import type { ClientName } from './clients.ts';
import {
  type Absent,
  type ClientContender,
  type Contender,
  clientContender,
  eximContender,
  postfixContender,
} from './contenders.ts';
import { SMTP_SINK, startSmtpSink } from './sink.ts';
import { measureRoundTrip, startWire, type Wire } from './wire.ts';

export const FAR_MS = 50;
/** Messages of each connection that are not counted. */
export const WARM = 10;

export type Role = ClientName | 'postfix' | 'exim';

export interface SmtpPlan {
  readonly rounds: number;
  /** Messages of each near measurement: fewer of a server that takes long to fill and to drain. */
  readonly near: Readonly<Record<Role, number>>;
  /** Pairs of near measurements without the wire, in each round: each is short, and a busy moment falls on one. */
  readonly directPairs: number;
  /** Messages of each far measurement: about as many as take the same time. */
  readonly far: Readonly<Record<Role, number>>;
  readonly farToPostfix: Readonly<Record<'ours' | 'nodemailer', number>>;
  readonly largeBytes: number;
}

export interface Sample {
  readonly perSecond: number;
  /** Per message, as the others. */
  readonly roundTrips: number;
  readonly cpuMs: number;
  readonly connections: number;
}

/** One contender at one distance. */
export interface Row {
  readonly role: Role;
  readonly name: string;
  readonly messages: number;
  readonly samples: readonly Sample[];
  /** Without the wire in between, where the contender has a clock of its own. */
  readonly direct: readonly Pick<Sample, 'perSecond' | 'cpuMs'>[];
}

export interface LargeRow {
  readonly role: 'ours' | 'nodemailer';
  readonly sink: 'fast' | 'slow';
  /** Resident beyond what was before, at the worst moment. */
  readonly extraBytes: readonly number[];
}

export interface SmtpResults {
  /** To the far sink and back, as measured. */
  readonly roundTripMs: number;
  readonly near: readonly Row[];
  readonly far: readonly Row[];
  /** Far, to Postfix's smtpd instead of smtp-sink. */
  readonly farToPostfix: readonly Row[];
  readonly large: readonly LargeRow[];
  readonly absent: readonly Absent[];
}

export interface SmtpOptions {
  /** Rejects when the bench is to end. */
  readonly interrupted: Promise<never>;
  /** Hears of each step, since the whole takes minutes. */
  readonly progress: (step: string) => void;
  /** Writes CPU profiles of the clients there. */
  readonly profileFolder?: string;
}

/** Undefined: there is no smtp-sink. Rejects when a message was refused or lost: such a run says nothing. */
export async function measureSmtp(plan: SmtpPlan, options: SmtpOptions): Promise<SmtpResults | undefined> {
  if (!existsSync(SMTP_SINK)) return undefined;
  await using lifetime = new AsyncDisposableStack();
  const work = gather(lifetime, options.profileFolder).then((field) => run(plan, field, options.progress));
  // What is stopped in the middle fails; why is known then.
  work.catch(() => {});
  return await Promise.race([options.interrupted, work]);
}

interface Entrant {
  readonly role: Role;
  readonly contender: Contender;
}

interface ClientEntrant extends Entrant {
  readonly role: ClientName;
  readonly contender: ClientContender;
}

interface Field {
  readonly wire: Wire;
  readonly sinkPort: number;
  readonly slowPort: number;
  readonly clients: readonly ClientEntrant[];
  readonly servers: readonly Entrant[];
  readonly toPostfix: readonly (ClientEntrant & { readonly role: 'ours' | 'nodemailer' })[];
  /** Throws away what Postfix's smtpd was sent. */
  discard(): Promise<void>;
  readonly absent: readonly Absent[];
}

/** A wire that takes 25 MB in two seconds. */
const SLOW_BYTES_PER_SECOND = 12.5 * 2 ** 20;

async function gather(lifetime: AsyncDisposableStack, profileFolder?: string): Promise<Field> {
  const sinkPort = await startSmtpSink(lifetime);
  const wire = await startWire();
  lifetime.defer(() => wire.close());
  const enter = async <R extends ClientName>(role: R, port: number) => {
    const contender = await clientContender(lifetime, wire, port, role, profileFolder);
    return { role, contender };
  };
  const postfix = await postfixContender(lifetime, wire, sinkPort);
  const exim = await eximContender(lifetime, wire, sinkPort);
  const isHere = !('because' in postfix);
  return {
    wire,
    sinkPort,
    slowPort: await wire.lay(sinkPort, { bytesPerSecond: SLOW_BYTES_PER_SECOND }),
    clients: [
      await enter('ours', sinkPort),
      await enter('nodemailer', sinkPort),
      await enter('deliveries', sinkPort),
    ],
    servers: [
      ...(isHere ? [{ role: 'postfix', contender: postfix } as const] : []),
      ...('because' in exim ? [] : [{ role: 'exim', contender: exim } as const]),
    ],
    toPostfix: isHere
      ? [await enter('ours', postfix.submissionPort), await enter('nodemailer', postfix.submissionPort)]
      : [],
    discard: isHere ? postfix.discard : async () => {},
    absent: [postfix, exim].filter((each) => 'because' in each),
  };
}

const WARM_UP = { clients: 300, servers: 30 };

async function run(plan: SmtpPlan, field: Field, progress: SmtpOptions['progress']): Promise<SmtpResults> {
  const { wire, clients, servers, toPostfix } = field;
  const near = [...clients, ...servers].map((entrant) => rowOf(entrant, plan.near[entrant.role]));
  const far = [...clients, ...servers].map((entrant) => rowOf(entrant, plan.far[entrant.role]));
  const farToPostfix = toPostfix.map((entrant) => rowOf(entrant, plan.farToPostfix[entrant.role]));
  const large = clients.flatMap(({ role, contender }) =>
    role === 'deliveries'
      ? []
      : (['fast', 'slow'] as const).map((sink) => ({ role, sink, contender, extraBytes: [] as number[] })),
  );

  // Code is compiled, files are in the cache: nothing of this is counted.
  for (const { contender } of clients) await send(wire, contender, WARM_UP.clients, false);
  for (const { contender } of servers) await send(wire, contender, WARM_UP.servers, false);

  for (let round = 0; round < plan.rounds; round += 1) {
    const name = `round ${round + 1} of ${plan.rounds}`;
    progress(`${name}: near`);
    await wire.move(0);
    for (const { contender, messages, samples } of turned(near, round)) {
      samples.push(await send(wire, contender, messages, false));
    }
    for (let pair = 0; pair < plan.directPairs; pair += 1) {
      for (const { contender, messages, direct } of turned(near, pair)) {
        const alone = await contender.sendDirect?.(field.sinkPort, messages, WARM);
        if (alone !== undefined) direct.push(alone);
      }
    }
    for (const { contender, sink, extraBytes } of turned(large, round)) {
      const port = sink === 'fast' ? field.sinkPort : field.slowPort;
      extraBytes.push(await contender.large(port, plan.largeBytes));
    }
    progress(`${name}: far`);
    await wire.move(FAR_MS);
    for (const { contender, messages } of far) await contender.prepare(messages);
    await Promise.all(
      [...far, ...farToPostfix].map(async ({ contender, messages, samples }) => {
        samples.push(await sendPrepared(wire, contender, messages, true));
      }),
    );
    await field.discard();
  }
  const [first] = clients;
  const roundTripMs = first === undefined ? Number.NaN : await measureRoundTrip(first.contender.port);
  return { roundTripMs, near, far, farToPostfix, large, absent: field.absent };
}

function rowOf({ role, contender }: Entrant, messages: number) {
  return { role, name: contender.name, messages, contender, samples: [] as Sample[], direct: [] as Direct[] };
}

type Direct = Row['direct'][number];

function turned<T>(list: readonly T[], round: number): readonly T[] {
  const start = round % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

async function send(wire: Wire, contender: Contender, messages: number, isFar: boolean): Promise<Sample> {
  await contender.prepare(messages);
  return await sendPrepared(wire, contender, messages, isFar);
}

async function sendPrepared(
  wire: Wire,
  contender: Contender,
  messages: number,
  isFar: boolean,
): Promise<Sample> {
  await wire.watch(contender.port, WARM);
  const cpuMs = await contender.send(messages, isFar);
  const course = await wire.read(contender.port);
  if (course.refused > 0 || course.messages !== messages - WARM) {
    throw new Error(`${contender.name}: of ${messages} messages the wire saw ${JSON.stringify(course)}`);
  }
  return {
    perSecond: (course.messages / course.elapsedMs) * 1_000,
    roundTrips: course.roundTrips / course.messages,
    cpuMs: cpuMs / messages,
    connections: course.connections,
  };
}
