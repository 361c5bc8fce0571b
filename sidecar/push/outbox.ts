// Messages that wait at the same moment for the same receiver share a transfer. A transfer leaves when it is full,
// when the few milliseconds of its window are over, or when one under way ends while the most are under way. Each
// message keeps its own verdict. A message that is too large for a request travels alone, by upload. What waits is
// bounded: past it `full` is true, and a message that comes all the same is settled as untaken at once.

import { formatXferRoute } from '../../shared/config/routes.ts';
import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { Target } from '../routing/targets.ts';
import { Compression } from './compression.ts';
import { withdrawQuietly } from './ending.ts';
import { type HandOverTools, handOver } from './hand-over.ts';
import type { HeldMessage } from './held-message.ts';
import { Operator } from './operator.ts';
import type { Place } from './route-health.ts';
import type { Withdrawal } from './withdraw.ts';

/** Messages in one transfer: with 10 KB each it stays far below MAX_INLINE_BYTES. */
export const MAX_TRANSFER_MESSAGES = 25;

/** Messages that wait for a transfer, unless the options say otherwise. */
export const MAX_WAITING_MESSAGES = 1_000;

const HEADER_BYTES = 1_024;
const HEADER_RECIPIENT_BYTES = 64;

/** Nothing new is taken while the oldest has waited for so long a part of Handoff_Deadline: it would hardly be in time. */
const LATE_PART = 0.5;
const SWEEP_MS = 1_000;

export interface OutboxOptions {
  /** How long the first message of a transfer waits for company. */
  readonly windowMs: number;
  /** Transfers under way to one target; those that wait for their next try are not counted. */
  readonly maxTransfers: number;
  readonly maxWaiting?: number;
}

export class Outbox {
  readonly #target: Target;
  readonly #tools: HandOverTools;
  readonly #options: OutboxOptions;
  readonly #compression = new Compression();
  readonly #operator: Operator;
  readonly #waiting = new Set<Waiting>();
  #waitingBytes = 0;
  #cancelWindow: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;
  /** Transfers with a request under way. */
  #active = 0;
  /** Transfers not over yet. */
  #unfinished = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(target: Target, tools: HandOverTools, options: OutboxOptions) {
    this.#target = target;
    this.#tools = tools;
    this.#options = options;
    this.#operator = new Operator(tools.log, tools.clock);
  }

  /** Whether new mail would wait too long: it should hear 452 before its content. */
  get full(): boolean {
    if (this.#waiting.size >= (this.#options.maxWaiting ?? MAX_WAITING_MESSAGES)) return true;
    const [oldest] = this.#waiting;
    if (oldest === undefined) return false;
    const waitedMs = this.#tools.clock.nowMs() - oldest.addedAtMs;
    return waitedMs > this.#target.handoffDeadlineMs * LATE_PART;
  }

  /** Transfers with a request under way. */
  get active(): number {
    return this.#active;
  }

  /** Messages that wait for a transfer. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether a receiver has the message, or may have it, as far as is remembered. */
  mayBeThere(id: string): boolean {
    return this.#tools.health.whereabouts.homeOf(this.#keyOf(id)) !== undefined;
  }

  /** The message is settled in any case, before long after its deadline. */
  add(held: HeldMessage): void {
    const { whereabouts } = this.#tools.health;
    const key = this.#keyOf(held.header.id);
    const before = whereabouts.underWay(key);
    if (before !== undefined) {
      // Its MTA left and came back: the hand-over of then may still end with a withdrawal.
      this.#park(held, before);
      return;
    }
    if (this.full) {
      untried(held, 'too much mail waits for this receiver');
      this.#tellIfIdle();
      return;
    }
    const end = whereabouts.begin(key, this.#tools.clock.nowMs());
    const message: HeldMessage = {
      ...held,
      settle: (result) => {
        const decided = held.settle(result);
        const quiet = whereabouts.quietOf(key);
        if (decided === undefined && quiet === undefined) end();
        else this.#endLater(key, decided, end);
      },
    };
    const waiting: Waiting = {
      message,
      home: this.#homeOf(held.header.id),
      addedAtMs: this.#tools.clock.nowMs(),
      frameBytes: frameBytesOf(message),
      left: () => {
        this.#remove(waiting);
        untried(message, 'the client left');
        this.#tellIfIdle();
      },
    };
    this.#waiting.add(waiting);
    this.#waitingBytes += waiting.frameBytes;
    // What an earlier hand-over left at a receiver is withdrawn by this one, also when its client leaves.
    const mayBeThere = message.mode === 'delayed' && waiting.home !== undefined;
    if (!mayBeThere) message.gone.addEventListener('abort', waiting.left);
    const isFull = this.#waiting.size >= MAX_TRANSFER_MESSAGES || this.#waitingBytes >= MAX_INLINE_BYTES;
    if (isFull) this.#flush();
    else this.#cancelWindow ??= this.#tools.clock.after(this.#options.windowMs, () => this.#flush());
  }

  /**
   * Takes back what was settled as taken, of a client that is not told so: while its id is still under way by the
   * promise that its `settle` returned. `routeName` is the result's.
   */
  async takeBack(
    message: Pick<HeldMessage, 'header' | 'gone'>,
    routeName: string | null,
  ): Promise<Withdrawal['kind']> {
    const { id } = message.header;
    const key = this.#keyOf(id);
    const { whereabouts } = this.#tools.health;
    const place = this.#placeNamed(whereabouts.homeOf(key) ?? routeName ?? undefined);
    if (place === undefined) throw new Error(`${id} was taken at no route of ${this.#target.domain}`);
    const tools = { ...this.#tools, keyOf: (one: string) => this.#keyOf(one) };
    const withdrawal = await withdrawQuietly(tools, place, id);
    this.#operator.withdrawn(message, withdrawal, 'unheard');
    if (withdrawal === 'withdrawn') whereabouts.forget(key);
    return withdrawal;
  }

  /** Resolves when nothing waits and nothing is under way, withdrawals included. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #park(held: HeldMessage, before: Promise<void>): void {
    const { clock } = this.#tools;
    this.#unfinished += 1;
    let over = false;
    const end = (then: () => void): void => {
      if (over) return;
      over = true;
      cancel();
      this.#unfinished -= 1;
      then();
      this.#tellIfIdle();
    };
    const cancel = clock.after(Math.max(held.deadlineAtMs - clock.nowMs(), 1), () =>
      end(() => untried(held, 'the hand-over of the same message before it has not ended')),
    );
    void before.then(() => end(() => this.add(held)));
  }

  // It counts as unfinished, so that nobody closes the client before a part is taken back, or starts a sidecar that
  // knows of no withdrawal under way.
  #endLater(key: string, decided: Promise<void> | undefined, end: () => void): void {
    this.#unfinished += 1;
    void Promise.resolve(decided)
      .then(() => this.#tools.health.whereabouts.quietOf(key))
      .then(() => {
        end();
        this.#unfinished -= 1;
        this.#tellIfIdle();
      });
  }

  #placeNamed(name: string | undefined): Place | undefined {
    return this.#tools.health.placeNamed(this.#target, name);
  }

  // Whoever comes back after that goes to another receiver, which an operator should know of.
  #homeOf(id: string): string | undefined {
    const { clock, health } = this.#tools;
    const key = this.#keyOf(id);
    const home = health.whereabouts.homeOf(key);
    if (home === undefined || !health.whereabouts.isOld(key, clock.nowMs())) return home;
    const place = health.placeNamed(this.#target, home);
    if (place === undefined) return home;
    const name = formatXferRoute(place.route);
    if (health.routes([place.target]).some(({ route, up }) => route === name && up)) return home;
    health.whereabouts.forget(key);
    this.#operator.letGo(id, place.route);
    return undefined;
  }

  // A message whose recipients go to several targets has one id at all of them.
  #keyOf(id: string): string {
    return `${this.#target.domain} ${id}`;
  }

  #flush(): void {
    this.#cancelWindow?.();
    this.#cancelWindow = undefined;
    while (this.#waiting.size > 0 && this.#active < this.#options.maxTransfers) this.#start();
    this.#watchDeadlines();
  }

  #start(): void {
    let active = false;
    const setActive = (wanted: boolean): void => {
      if (active === wanted) return;
      active = wanted;
      this.#active += wanted ? 1 : -1;
      if (!wanted) this.#flush();
    };
    const pause = { begin: () => setActive(false), end: () => setActive(true) };
    const tools = {
      ...this.#tools,
      compression: this.#compression,
      operator: this.#operator,
      keyOf: (id: string) => this.#keyOf(id),
      placeOf: (id: string) =>
        this.#tools.health.placeNamed(this.#target, this.#tools.health.whereabouts.homeOf(this.#keyOf(id))),
      pause,
    };
    const { home, transfer } = this.#nextTransfer();
    const place = this.#placeNamed(home);
    this.#unfinished += 1;
    setActive(true);
    void handOver(tools, this.#target, transfer, place).then(() => {
      this.#unfinished -= 1;
      setActive(false);
      this.#tellIfIdle();
    });
  }

  // The oldest first, and with it as many as fit into one request and may go where it may go. One that must be
  // uploaded does not fit beside any other.
  #nextTransfer(): { readonly home: string | undefined; readonly transfer: readonly HeldMessage[] } {
    const [oldest] = this.#waiting;
    const home = oldest?.home;
    const transfer: HeldMessage[] = [];
    let sizeBytes = 0;
    for (const waiting of this.#waiting) {
      if (waiting.home !== home) continue;
      const { message } = waiting;
      const withIt = sizeBytes + waiting.frameBytes;
      const fits = transfer.length < MAX_TRANSFER_MESSAGES && withIt <= MAX_INLINE_BYTES;
      if (transfer.length > 0 && !fits) break;
      sizeBytes = withIt;
      transfer.push(message);
      this.#remove(waiting);
    }
    return { home, transfer };
  }

  #remove(waiting: Waiting): void {
    const { message, left } = waiting;
    if (!this.#waiting.delete(waiting)) return;
    this.#waitingBytes -= waiting.frameBytes;
    message.gone.removeEventListener('abort', left);
  }

  // While all transfers are stuck, a waiting message still ends in time. One that comes later may have less of it.
  #watchDeadlines(): void {
    if (this.#waiting.size === 0 || this.#cancelSweep !== undefined) return;
    const { clock } = this.#tools;
    const firstMs = Math.min(...[...this.#waiting].map(({ message }) => message.deadlineAtMs));
    const delayMs = Math.min(Math.max(firstMs - clock.nowMs(), 1), SWEEP_MS);
    this.#cancelSweep = clock.after(delayMs, () => {
      this.#cancelSweep = undefined;
      for (const waiting of this.#waiting) {
        if (waiting.message.deadlineAtMs > clock.nowMs()) continue;
        this.#remove(waiting);
        untried(waiting.message, 'no try was made in time');
      }
      this.#watchDeadlines();
      this.#tellIfIdle();
    });
  }

  #isIdle(): boolean {
    return this.#waiting.size === 0 && this.#unfinished === 0;
  }

  #tellIfIdle(): void {
    if (!this.#isIdle()) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

interface Waiting {
  readonly message: HeldMessage;
  /** The only route that it may take. */
  readonly home: string | undefined;
  readonly addedAtMs: number;
  readonly frameBytes: number;
  readonly left: () => void;
}

// About: a header line is at most so long, unless its recipients have many characters that JSON escapes. What is
// uploaded fills a transfer.
function frameBytesOf({ header }: HeldMessage): number {
  if (header.upload) return MAX_INLINE_BYTES + 1;
  const { recipients } = header.envelope;
  return recipients.reduce(
    (sum, { address, orcpt = '' }) => sum + HEADER_RECIPIENT_BYTES + address.length + orcpt.length,
    header.sizeBytes + HEADER_BYTES,
  );
}

function untried(message: HeldMessage, reason: string): void {
  message.settle({ ending: 'untaken', reason, withdrawal: null, route: null, tries: 0, batch: 0 });
}
