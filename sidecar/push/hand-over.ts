// Hands one transfer over to a receiver and settles each of its messages exactly once. Invariant (at most one
// receiver): another route is tried only while nothing of the transfer has left this machine; from then on the same
// ids are repeated to the same receiver. Invariant (no doubt is left): a delayed message that a receiver may have,
// and that its MTA does not get a 250 for, is withdrawn; the MTA tries it itself then. Rerouted messages come back
// to us instead, under the same id. Both are enforced here, and test/dialogs/sidecar-doubt.test.ts fails
// without them.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import { FRAMES_CONTENT_TYPE, formatFrameHeader } from '../../shared/xfer/frame-format.ts';
import { MIN_PATIENCE_MS } from '../../shared/xfer/patience.ts';
import { parseVerdicts, type ReceivedAnswer } from '../../shared/xfer/verdict-parser.ts';
import type { Clock } from '../clock.ts';
import type { Ending, Log } from '../log.ts';
import type { Target } from '../routing/targets.ts';
import { backoffMs } from './backoff.ts';
import type { HandOverResult, HeldMessage } from './held-message.ts';
import type { ReceiverClient } from './receiver-client.ts';
import type { RouteHealth } from './route-health.ts';
import { upload } from './upload.ts';
import { withdraw } from './withdraw.ts';

export interface HandOverTools {
  readonly client: ReceiverClient;
  readonly health: RouteHealth;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Never rejects. `messages` share one target; a message that needs an upload stands alone. */
export async function handOver(
  tools: HandOverTools,
  target: Target,
  messages: readonly HeldMessage[],
): Promise<void> {
  const open = messages.map((message) => ({ message, inDoubt: false }));
  await new Transfer(tools, target, open, undefined).run();
}

interface Open {
  readonly message: HeldMessage;
  /** A receiver may have taken it, and has not said so. */
  inDoubt: boolean;
}

/** What a try leaves to do. */
type Step =
  | { readonly kind: 'go-on' }
  | { readonly kind: 'wait'; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly kind: 'give-up'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'split' };

/** One transfer from its first try to its last verdict. */
class Transfer {
  readonly #tools: HandOverTools;
  readonly #target: Target;
  #open: readonly Open[];
  /** The receiver that the body has left for. */
  #receiver: XferRoute | undefined;
  #uploadedTo: XferRoute | undefined;
  readonly #unreachable = new Set<XferRoute>();
  #route: XferRoute | undefined;
  #tries = 0;
  #batch = 0;
  #reason = 'no try was made in time';

  constructor(tools: HandOverTools, target: Target, open: readonly Open[], receiver: XferRoute | undefined) {
    this.#tools = tools;
    this.#target = target;
    this.#open = open;
    this.#receiver = receiver;
  }

  async run(): Promise<void> {
    const { clock, health, random } = this.#tools;
    for (;;) {
      await this.#endThoseOutOfTime();
      if (this.#open.length === 0) return;
      const route = this.#receiver ?? health.firstUp(this.#target, clock.nowMs(), this.#unreachable);
      if (route === undefined) {
        await this.#endAll('no-route', `no route to ${this.#target.domain} is up: ${this.#reason}`);
        return;
      }
      this.#route = route;
      this.#tries += 1;
      this.#batch = this.#open.length;
      const step = await this.#try(route);
      switch (step.kind) {
        case 'go-on':
          break;
        case 'wait': {
          this.#reason = step.reason;
          const delayMs = Math.max(backoffMs(this.#tries, random()), step.retryAfterMs ?? 0);
          if (clock.nowMs() + delayMs >= this.#lastStartMs()) {
            await this.#endAll('untaken', step.reason);
            return;
          }
          await untilDueOrAllGone(clock, delayMs, this.#open);
          break;
        }
        case 'give-up':
          await this.#endAll('untaken', step.reason);
          return;
        case 'refused':
          await this.#endAll('refused', 'refused by the receiver', step.reply);
          return;
        case 'split':
          await Promise.all(
            this.#open.map((one) => new Transfer(this.#tools, this.#target, [one], this.#receiver).run()),
          );
          return;
      }
    }
  }

  async #try(route: XferRoute): Promise<Step> {
    const { client, clock, health } = this.#tools;
    const [first] = this.#open;
    if (first?.message.header.upload && this.#uploadedTo !== route) {
      const step = await this.#upload(route, first.message);
      if (step !== undefined) return step;
    }
    const timeoutMs = Math.min(this.#target.responseTimeoutMs, this.#deadlineMs() - clock.nowMs());
    const outcome = await client.send(this.#target, route, {
      method: 'POST',
      path: this.#target.uri,
      headers: {
        'content-type': FRAMES_CONTENT_TYPE,
        ...(timeoutMs >= MIN_PATIENCE_MS && { 'x-xfer-patience-ms': String(timeoutMs) }),
      },
      body: this.#open.flatMap(({ message: { header, content } }) => [
        formatFrameHeader(header),
        ...(header.upload ? [] : (content.pieces ?? [])),
      ]),
      timeoutMs: Math.max(timeoutMs, 1),
    });
    switch (outcome.kind) {
      case 'unreachable':
        return this.#passOver(route, outcome.reason);
      case 'lost':
        this.#receiver = route;
        for (const one of this.#open) one.inDoubt = true;
        return { kind: 'wait', reason: outcome.reason };
      case 'answer':
        health.answered(route);
        this.#receiver = route;
        return this.#readAnswer(outcome.answer);
    }
  }

  async #upload(route: XferRoute, message: HeldMessage): Promise<Step | undefined> {
    const { client, clock, health } = this.#tools;
    const outcome = await upload(client, clock, this.#target, route, message);
    switch (outcome.kind) {
      case 'uploaded':
        this.#uploadedTo = route;
        return this.#deadlineMs() > clock.nowMs() ? undefined : { kind: 'go-on' };
      case 'unreachable':
        return this.#passOver(route, outcome.reason);
      case 'again':
        health.answered(route);
        return { ...outcome, kind: 'wait' };
      case 'refused':
        health.answered(route);
        return { kind: 'refused', reply: outcome.reply };
      case 'rejected':
        health.answered(route);
        this.#tellOperator(outcome.status, outcome.reason);
        return { kind: 'give-up', reason: outcome.reason };
    }
  }

  // Another route at once, when nothing has left yet; else the same receiver again, after a while.
  #passOver(route: XferRoute, reason: string): Step {
    const { clock, health } = this.#tools;
    health.failed(route, this.#target, clock.nowMs(), reason);
    this.#unreachable.add(route);
    this.#reason = reason;
    return this.#receiver === undefined ? { kind: 'go-on' } : { kind: 'wait', reason };
  }

  async #readAnswer(answer: ReceivedAnswer): Promise<Step> {
    const ids = this.#open.map(({ message }) => message.header.id);
    const outcome = parseVerdicts(answer, ids, this.#tools.clock.nowMs());
    if (outcome.kind === 'faulty') {
      // One message may spoil the request for the others.
      if (this.#open.length > 1) return { kind: 'split' };
      this.#tellOperator(answer.status, outcome.reason);
      return { kind: 'give-up', reason: outcome.reason };
    }
    if (outcome.kind === 'retry') {
      const { reason, retryAfterMs } = outcome;
      if (outcome.inDoubt) for (const one of this.#open) one.inDoubt = true;
      else if (answer.status !== 429) {
        this.#tellOperator(answer.status, reason);
        return { kind: 'give-up', reason };
      }
      return { kind: 'wait', reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    }
    const unknown: Open[] = [];
    const settled: Promise<void>[] = [];
    for (const [index, one] of this.#open.entries()) {
      const verdict = outcome.messages[index];
      if (verdict === undefined || verdict.status === 'unknown') {
        one.inDoubt = true;
        unknown.push(one);
      } else if (verdict.status === 'refused') {
        settled.push(this.#end(one, 'refused', 'refused by the receiver', verdict.reply));
      } else {
        settled.push(this.#end(one, verdict.status, `${verdict.status} by the receiver`));
      }
    }
    await Promise.all(settled);
    this.#open = unknown;
    return unknown.length === 0
      ? { kind: 'go-on' }
      : { kind: 'wait', reason: 'the answer leaves out a message' };
  }

  #deadlineMs(): number {
    return Math.min(...this.#open.map(({ message }) => message.deadlineAtMs));
  }

  // No later may a try be repeated: with less time the receiver would not commit anything.
  #lastStartMs(): number {
    const { responseTimeoutMs, handoffDeadlineMs } = this.#target;
    return this.#deadlineMs() - Math.min(responseTimeoutMs, handoffDeadlineMs, MIN_PATIENCE_MS);
  }

  async #endThoseOutOfTime(): Promise<void> {
    const nowMs = this.#tools.clock.nowMs();
    const over = this.#open.filter(({ message }) => message.gone.aborted || message.deadlineAtMs <= nowMs);
    this.#open = this.#open.filter((one) => !over.includes(one));
    await Promise.all(
      over.map((one) =>
        this.#end(one, 'untaken', one.message.gone.aborted ? 'the client left' : this.#reason),
      ),
    );
  }

  async #endAll(ending: Ending, reason: string, refusal?: Reply): Promise<void> {
    await Promise.all(this.#open.map((one) => this.#end(one, ending, reason, refusal)));
    this.#open = [];
  }

  async #end(one: Open, wanted: Ending, reason: string, refusal?: Reply): Promise<void> {
    const { message } = one;
    const route = this.#route;
    const taken = wanted === 'accepted' || wanted === 'duplicate';
    let ending: Ending = one.inDoubt && !taken && wanted !== 'refused' ? 'in-doubt' : wanted;
    let withdrawal: HandOverResult['withdrawal'] = null;
    const mayBeThere = taken ? message.gone.aborted : one.inDoubt;
    if (message.mode === 'delayed' && mayBeThere && route !== undefined) {
      withdrawal = await withdraw(this.#tools, this.#target, route, message.header.id);
      // What the receiver answers for is handed over, and the MTA may forget it.
      if (withdrawal === 'kept' && !taken) ending = 'duplicate';
      this.#tellOfDouble(message, withdrawal);
    }
    message.settle({
      ending,
      ...(refusal !== undefined && ending === 'refused' && { refusal }),
      reason,
      withdrawal,
      route: route === undefined ? null : formatXferRoute(route),
      tries: this.#tries,
      batch: this.#batch,
    });
  }

  #tellOperator(status: number, reason: string): void {
    const refusesUs = [401, 402, 403, 404, 407].includes(status) || (status >= 300 && status < 400);
    this.#tools.log.notice({
      level: 'error',
      code: refusesUs ? 'receiver-refuses-us' : 'request-faulty',
      message: `${this.#route === undefined ? this.#target.domain : formatXferRoute(this.#route)}: ${reason}; mail waits at its MTA`,
    });
  }

  #tellOfDouble(message: HeldMessage, withdrawal: HandOverResult['withdrawal']): void {
    const { id } = message.header;
    if (withdrawal === 'unconfirmed') {
      this.#tools.log.notice({
        level: 'error',
        code: 'withdrawal-unconfirmed',
        message: `${id} may be at the receiver and at its MTA: the withdrawal was not answered`,
      });
    } else if (withdrawal === 'kept' && message.gone.aborted) {
      this.#tools.log.notice({
        level: 'warn',
        code: 'double-possible',
        message: `${id} is at the receiver, which has begun with it, and its MTA left without hearing so`,
      });
    }
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
