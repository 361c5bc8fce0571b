// Hands one transfer over to a receiver and settles each of its messages exactly once. Invariant (at most one
// receiver): another route, or the next target of the chain, is tried only while nothing of the transfer has left
// this machine; from then on the same ids are repeated to the same receiver. test/dialogs/sidecar-doubt.test.ts
// and test/dialogs/sidecar-fire.test.ts fail without it. How a message ends is in ending.ts, what a try
// brings in attempt.ts.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import { MIN_PATIENCE_MS } from '../../shared/xfer/patience.ts';
import type { Clock } from '../clock.ts';
import type { Ending, Log } from '../log.ts';
import type { Target } from '../routing/targets.ts';
import { attempt, type Step } from './attempt.ts';
import { backoffMs } from './backoff.ts';
import type { Compression } from './compression.ts';
import { endMessage, type Open, type WantedEnding } from './ending.ts';
import type { HandOverResult, HeldMessage, PushSample } from './held-message.ts';
import { reasonOf } from './http-exchange.ts';
import type { Operator } from './operator.ts';
import type { ReceiverClient } from './receiver-client.ts';
import type { Passage, Place, RouteHealth } from './route-health.ts';

export interface HandOverTools {
  readonly client: ReceiverClient;
  readonly health: RouteHealth;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  /** Hears of every try of a transfer. */
  readonly pushed?: (sample: PushSample) => void;
}

export interface TransferTools extends HandOverTools {
  readonly compression: Compression;
  readonly operator: Operator;
  /** Of an id, for whereabouts. */
  readonly keyOf: (id: string) => string;
  /** Where the id is, or may be, as far as is remembered. */
  readonly placeOf: (id: string) => Pick<Passage, 'target' | 'route'> | undefined;
  /** Called around each wait between tries, in which nothing is under way. */
  readonly pause: { begin(): void; end(): void };
}

/**
 * Never rejects. `messages` share one target, and `home`, the only route that they may take, because its receiver has
 * or may have them already; a message that needs an upload stands alone.
 */
export async function handOver(
  tools: TransferTools,
  target: Target,
  messages: readonly HeldMessage[],
  home: Place | undefined,
): Promise<void> {
  const open = messages.map((message) => ({ message, inDoubt: false, isHome: home !== undefined }));
  await new Transfer(tools, target, { open, home, pinned: undefined, tries: 0 }).run();
}

/** Drops of a shared request in a row after which its messages go apart: one of them may be what the receiver dies of. */
const DROPS_BEFORE_SPLIT = 3;

/** With less time a first try would hardly end in a verdict. */
const MIN_FIRST_TRY_MS = 500;

interface Beginning {
  readonly open: readonly Open[];
  readonly home: Place | undefined;
  /** The receiver that the body has left for. */
  readonly pinned: Passage | undefined;
  readonly tries: number;
}

/** One transfer from its first try to its last verdict. */
class Transfer {
  readonly #tools: TransferTools;
  readonly #target: Target;
  readonly #home: Place | undefined;
  #open: readonly Open[];
  #pinned: Passage | undefined;
  #passage: Passage | undefined;
  #uploadedTo: XferRoute | undefined;
  readonly #unreachable = new Set<XferRoute>();
  #tries: number;
  #batch = 0;
  #drops = 0;
  #reason: string | undefined;
  readonly #endings: Promise<void>[] = [];

  constructor(tools: TransferTools, target: Target, { open, home, pinned, tries }: Beginning) {
    this.#tools = tools;
    this.#target = target;
    this.#open = open;
    this.#home = home;
    this.#pinned = pinned;
    this.#passage = pinned;
    this.#tries = tries;
  }

  /** Resolves when each message is settled. A withdrawal, which may take half a minute, keeps no other message waiting. */
  async run(): Promise<void> {
    try {
      await this.#tryOn();
    } catch (error) {
      this.#endAll('untaken', reasonOf(error));
    }
    await Promise.all(this.#endings);
  }

  async #tryOn(): Promise<void> {
    const { clock, health } = this.#tools;
    for (;;) {
      this.#endThoseOutOfTime(clock.nowMs());
      if (this.#open.length === 0) return;
      const passage =
        this.#pinned ?? health.claim(this.#target, clock.nowMs(), this.#unreachable, this.#home);
      if (passage === undefined) {
        const why = this.#reason ?? health.whyDown(this.#target) ?? 'another message is testing it';
        this.#endAll('no-route', `no route to ${this.#target.domain} is up: ${why}`);
        return;
      }
      this.#passage = passage;
      this.#tries += 1;
      this.#batch = this.#open.length;
      const step = await attempt(this.#tools, passage, {
        open: this.#open,
        timeoutMs: () =>
          Math.max(Math.min(passage.target.responseTimeoutMs, this.#deadlineMs() - clock.nowMs()), 1),
        isUploaded: this.#uploadedTo === passage.route,
        uploaded: () => {
          this.#uploadedTo = passage.route;
        },
      });
      if (await this.#ended(passage, step)) return;
    }
  }

  /** Follows what the try said; true when nothing is left to do. */
  async #ended(passage: Passage, step: Step): Promise<boolean> {
    if (step.left) this.#pinned = passage;
    switch (step.kind) {
      case 'settled': {
        const { verdicts } = step;
        const open = this.#open;
        this.#open = open.filter((one) => !verdicts.has(one));
        for (const one of open) {
          const verdict = verdicts.get(one);
          if (verdict !== undefined) this.#end(one, verdict.ending, verdict.reason, verdict.refusal);
        }
        return this.#open.length === 0 || this.#wait('the answer leaves out a message', undefined);
      }
      case 'pass-over':
        this.#unreachable.add(passage.route);
        this.#reason = step.reason;
        return this.#pinned === undefined ? false : this.#wait(step.reason, undefined);
      case 'at-once':
        this.#reason = step.reason;
        return false;
      case 'wait':
        this.#drops = step.dropped ? this.#drops + 1 : 0;
        if (await this.#wait(step.reason, step.retryAfterMs)) return true;
        return this.#drops >= DROPS_BEFORE_SPLIT && this.#open.length > 1 && this.#split();
      case 'give-up':
        this.#endAll('untaken', step.reason);
        return true;
      case 'refused':
        this.#endAll('refused', 'refused by the receiver', step.reply);
        return true;
      case 'split':
        return this.#split();
    }
  }

  // In halves, so that one faulty message is found in few requests.
  async #split(): Promise<true> {
    const half = Math.ceil(this.#open.length / 2);
    await Promise.all(
      [this.#open.slice(0, half), this.#open.slice(half)].map((open) =>
        new Transfer(this.#tools, this.#target, {
          open,
          home: this.#home,
          pinned: this.#pinned,
          tries: this.#tries,
        }).run(),
      ),
    );
    return true;
  }

  /** Ends what has no time for another try, and waits with the rest; true when nothing is left. */
  async #wait(reason: string, retryAfterMs = 0): Promise<boolean> {
    const { clock, random, pause } = this.#tools;
    this.#reason = reason;
    const delayMs = Math.max(backoffMs(this.#tries, random()), retryAfterMs);
    pause.begin();
    try {
      this.#endThoseOutOfTime(clock.nowMs() + delayMs);
      if (this.#open.length === 0) return true;
      await untilDueOrAllGone(clock, delayMs, this.#open);
      return false;
    } finally {
      pause.end();
    }
  }

  #deadlineMs(): number {
    return Math.min(...this.#open.map(({ message }) => message.deadlineAtMs));
  }

  // A repeat that began later would find a receiver that commits nothing any more. The first try may have less time,
  // since a client with little patience gives no more.
  #lastStartMs(message: HeldMessage): number {
    const { responseTimeoutMs, handoffDeadlineMs } = this.#target;
    const leastMs = this.#tries === 0 ? MIN_FIRST_TRY_MS : MIN_PATIENCE_MS;
    return message.deadlineAtMs - Math.min(responseTimeoutMs, handoffDeadlineMs / 2, leastMs);
  }

  #endThoseOutOfTime(nextTryMs: number): void {
    const over = this.#open.filter(
      ({ message }) => message.gone.aborted || nextTryMs >= this.#lastStartMs(message),
    );
    if (over.length === 0) return;
    this.#open = this.#open.filter((one) => !over.includes(one));
    const reason = this.#reason ?? 'no try was made in time';
    for (const one of over) this.#end(one, 'untaken', one.message.gone.aborted ? 'the client left' : reason);
  }

  #endAll(ending: Ending, reason: string, refusal?: Reply): void {
    const open = this.#open;
    this.#open = [];
    for (const one of open) this.#end(one, ending, reason, refusal);
  }

  #end(one: Open, ending: Ending, reason: string, refusal?: Reply): void {
    const at = this.#pinned ?? this.#passage;
    const wanted = {
      ending,
      reason,
      ...(refusal !== undefined && { refusal }),
      ...(at !== undefined && { at }),
      tries: this.#tries,
      batch: this.#batch,
    };
    this.#endings.push(endOnce(this.#tools, one, wanted));
  }
}

// Whatever fails in us, its MTA hears of the message.
async function endOnce(tools: TransferTools, one: Open, wanted: WantedEnding): Promise<void> {
  let isSettled = false;
  const settle = (result: HandOverResult): Promise<void> | undefined => {
    if (isSettled) return undefined;
    isSettled = true;
    return one.message.settle(result);
  };
  try {
    await endMessage(tools, { ...one, message: { ...one.message, settle } }, wanted);
  } catch (error) {
    const { at, tries, batch } = wanted;
    const isUnconfirmed = one.inDoubt && one.message.mode === 'delayed';
    if (at !== undefined) tools.operator.cannotSend(at.route, reasonOf(error));
    settle({
      ending: one.inDoubt ? 'in-doubt' : 'untaken',
      reason: reasonOf(error),
      withdrawal: isUnconfirmed ? 'unconfirmed' : null,
      route: at === undefined ? null : formatXferRoute(at.route),
      tries,
      batch,
    });
  }
}

function untilDueOrAllGone(clock: Clock, delayMs: number, open: readonly Open[]): Promise<void> {
  return new Promise((resolve) => {
    const signals = open.map(({ message }) => message.gone);
    const done = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener('abort', check);
      resolve();
    };
    const check = (): void => {
      if (signals.every((signal) => signal.aborted)) done();
    };
    const cancel = clock.after(delayMs, done);
    for (const signal of signals) signal.addEventListener('abort', check);
    check();
  });
}
