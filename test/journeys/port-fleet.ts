// Many trials at once over the emulators and real sockets. They share stores, sink and clock; each has ids of its
// own, its own cursors of release, and gets its own timers only. A trial that sleeps waits until all sleep: then
// the clock moves to the first that wants to wake.

import { type AttributeValue, ScanCommand } from '@aws-sdk/client-dynamodb';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import {
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import { emulatorClients } from '../../local/clients.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { PARTITION_KEY } from '../../shared/aws/table.ts';
import type { QueueLimits } from '../../shared/queue/parking.ts';
import { INDEX_SHARDS } from '../../shared/queue/parking.ts';
import { REPORT_CREDENTIAL } from '../../shared/queue/pay-reports.ts';
import { DEFAULT_TEMPO, type Tempo } from '../../shared/queue/tempo.ts';
import { parseTimer } from '../../shared/queue/timer.ts';
import type { ReceivedTimer } from './port-memory.ts';
import type { Leftovers, Stage } from './port-stage.ts';
import { LEDGER_TIMEOUT_MS, startWorld } from './world.ts';

export interface Fleet extends AsyncDisposable {
  /**
   * Plays all at once. Each gets its stage by its name, which no other trial's name may begin with; `play` is to
   * ask for leftovers last, which waits for everybody's end.
   */
  sail<R>(
    trials: readonly { readonly name: string; readonly tempo?: Tempo; readonly limits?: QueueLimits }[],
    play: (stage: Stage, index: number) => Promise<R>,
  ): Promise<readonly R[]>;
  /** Timers left when every wait that there is has run out; they are taken out of the queue. */
  leftTimers(): Promise<readonly ReceivedTimer[]>;
}

/** Shards are read bucket by bucket: wider buckets make a sleep of an hour cheaper. */
const BUCKET_MS = 300_000;
/** Trials that are awake at the same time: the ledger's calls must not wait for each other until they time out. */
const AWAKE = 16;
const LONGER_THAN_ANY_WAIT_MS = 13 * 3_600_000;

export async function startFleet(): Promise<Fleet> {
  const tempo = { ...DEFAULT_TEMPO, bucketMs: BUCKET_MS };
  const world = await startWorld({ tempo });
  const clients = emulatorClients(world.endpoints, LEDGER_TIMEOUT_MS);
  const { bucket, table, timersQueueUrl: QueueUrl } = world.endpoints;
  const mailboxes = new Map<string, { readonly timer: ReceivedTimer; readonly untilMs: number }[]>();
  /** Whose a report is, by its id. */
  const reporters = new Map<string, string>();
  let cursors = 0;

  async function receive(): Promise<readonly Message[]> {
    const { Messages = [] } = await clients.sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: 0,
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      }),
    );
    return Messages;
  }

  async function remove(receipts: readonly string[]): Promise<void> {
    for (let start = 0; start < receipts.length; start += 10) {
      const Entries = receipts
        .slice(start, start + 10)
        .map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
      await clients.sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  }

  /** Everything visible into the boxes of those whom it is for. */
  const sort = alone(async () => {
    for (let messages = await receive(); messages.length > 0; messages = await receive()) {
      for (const message of messages) {
        const timer = received(message);
        const id = parseTimer(timer.body)?.key.id ?? '';
        const name = reporters.get(id) ?? id.slice(0, id.lastIndexOf('-'));
        const box = mailboxes.get(name) ?? [];
        mailboxes.set(name, [...box, { timer, untilMs: Date.now() + QUEUE_LIMITS.queueVisibilityMs }]);
      }
    }
  });

  async function sail<R>(
    trials: Parameters<Fleet['sail']>[0],
    play: (stage: Stage, index: number) => Promise<R>,
  ): Promise<readonly R[]> {
    const tide = createTide(trials.length, (ms) => world.clock.advance(ms));
    const inventory = once(async () => {
      const objects: string[] = [];
      let token: string | undefined;
      do {
        const page = await clients.s3.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        objects.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
        token = page.NextContinuationToken;
      } while (token !== undefined);
      const counted: string[] = [];
      let start: Record<string, AttributeValue> | undefined;
      do {
        const page = await clients.dynamodb.send(
          new ScanCommand({ TableName: table, ...(start === undefined ? {} : { ExclusiveStartKey: start }) }),
        );
        const keys = (page.Items ?? []).flatMap((item) => item[PARTITION_KEY]?.S ?? []);
        counted.push(...keys.filter((key) => key.startsWith('o#')).map((key) => key.slice(2)));
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
      return { objects, counted };
    });

    const stages = trials.map(({ name, limits = QUEUE_LIMITS, ...trial }): Stage => {
      const uploads = new Set<string>();
      cursors += 1;
      const offset = cursors * INDEX_SHARDS;
      const { due, ledger } = world.stores;
      return {
        ports: {
          ...world.stores,
          ledger: {
            ...ledger,
            write: (item) => {
              if (item.key.credential === REPORT_CREDENTIAL) reporters.set(item.key.id, name);
              return ledger.write(item);
            },
          },
          due: {
            ...due,
            readCursor: (shard) => due.readCursor(shard + offset),
            writeCursor: (shard, cursor) => due.writeCursor(shard + offset, cursor),
          },
          smtp: world.egress.smtp,
        },
        router: world.egress.router,
        tempo: { ...(trial.tempo ?? tempo), bucketMs: BUCKET_MS },
        limits,
        lookbackMs: 10 * BUCKET_MS,
        nowMs: () => Date.now(),
        pause: world.clock.pause,
        sleep: tide.sleep,
        async receiveTimers() {
          await sort();
          const box = mailboxes.get(name) ?? [];
          mailboxes.delete(name);
          // Left in the box for too long, a timer is visible again for whoever asks next.
          return box.filter(({ untilMs }) => untilMs > Date.now()).map(({ timer }) => timer);
        },
        deleteTimers: remove,
        async upload(url, headers, content) {
          uploads.add(new URL(url).pathname.split('/').slice(2).join('/'));
          const { ok, status } = await fetch(url, { method: 'PUT', headers, body: Uint8Array.from(content) });
          if (!ok) throw new Error(`the upload was answered ${status}`);
        },
        arrived: () =>
          world.sink.received
            .filter(
              ({ sender, recipients, content }) =>
                recipients.some(({ address }) => address.includes(name)) ||
                (sender === '' && content.includes(`Final-Log-ID: ${name}-`)),
            )
            .map(({ sender, recipients, content }) => ({
              sender,
              recipients: recipients.map(({ address }) => address),
              content,
            })),
        async leftovers(): Promise<Leftovers> {
          await tide.atAnchor();
          const { objects, counted } = await inventory();
          const ours = (key: string) => key.startsWith(`${name}-`) || uploads.has(key);
          return { objects: objects.filter(ours), counted: counted.filter(ours) };
        },
      };
    });
    return Promise.all(stages.map((stage, index) => tide.aboard(() => play(stage, index))));
  }

  return {
    sail,
    async leftTimers() {
      world.clock.advance(LONGER_THAN_ANY_WAIT_MS);
      await sort();
      const left = [...mailboxes.values()].flat().map(({ timer }) => timer);
      mailboxes.clear();
      await remove(left.map(({ receipt }) => receipt));
      const { Attributes } = await clients.sqs.send(
        new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
      );
      const hidden = Number(Attributes?.['ApproximateNumberOfMessagesNotVisible'] ?? 0);
      if (hidden > 0) throw new Error(`${hidden} timers are hidden for more than 12 hours`);
      return left;
    },
    async [Symbol.asyncDispose]() {
      clients.destroy();
      await world.close();
    },
  };
}

interface Tide {
  /** Runs a trial as soon as there is room. */
  aboard<R>(trial: () => Promise<R>): Promise<R>;
  sleep(ms: number): Promise<void>;
  /** Until every trial is there. */
  atAnchor(): Promise<void>;
}

function createTide(trials: number, advance: (ms: number) => void): Tide {
  let passedMs = 0;
  let afloat = trials;
  let awake = 0;
  const asleep: { readonly untilMs: number; readonly wake: () => void }[] = [];
  const anchored: (() => void)[] = [];
  const queued: (() => void)[] = [];

  const enter = async () => {
    if (awake < AWAKE) awake += 1;
    else await new Promise<void>((resolve) => queued.push(resolve));
  };
  const leave = () => {
    const next = queued.shift();
    // The place is handed over.
    if (next !== undefined) return next();
    awake -= 1;
    if (awake > 0) return;
    if (asleep.length > 0) {
      const nextMs = Math.min(...asleep.map(({ untilMs }) => untilMs));
      advance(nextMs - passedMs);
      passedMs = nextMs;
      const due = asleep.filter(({ untilMs }) => untilMs <= nextMs);
      for (const sleeper of due) {
        asleep.splice(asleep.indexOf(sleeper), 1);
        sleeper.wake();
      }
    } else if (anchored.length === afloat) {
      for (const go of anchored.splice(0)) go();
    }
  };
  const away = async (wait: Promise<void>) => {
    leave();
    await wait;
    await enter();
  };
  return {
    async aboard(trial) {
      await enter();
      try {
        return await trial();
      } finally {
        afloat -= 1;
        leave();
      }
    },
    sleep: (ms) => away(new Promise((wake) => asleep.push({ untilMs: passedMs + ms, wake }))),
    atAnchor: () => away(new Promise((go) => anchored.push(go))),
  };
}

function received({ MessageId = '', ReceiptHandle = '', Body = '', Attributes }: Message): ReceivedTimer {
  const receiveCount = Number(Attributes?.ApproximateReceiveCount ?? 1);
  return { messageId: MessageId, receipt: ReceiptHandle, body: Body, receiveCount };
}

/** One call after the other. */
function alone(work: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(work, work);
    return last;
  };
}

function once<R>(work: () => Promise<R>): () => Promise<R> {
  let result: Promise<R> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
