// Messages that wait at the same moment for the same receiver share a transfer. A transfer leaves when it is full,
// when the few milliseconds of its window are over, or when one under way ends while the most are under way. Each
// message keeps its own verdict. A message that is too large for a request travels alone, by upload.

import { MAX_INLINE_BYTES } from '../../shared/xfer/limits.ts';
import type { Target } from '../routing/targets.ts';
import { type HandOverTools, handOver } from './hand-over.ts';
import type { HeldMessage } from './held-message.ts';

/** Messages in one transfer: with 10 KB each it stays far below MAX_INLINE_BYTES. */
export const MAX_TRANSFER_MESSAGES = 25;

export interface OutboxOptions {
  /** How long the first message of a transfer waits for company. */
  readonly windowMs: number;
  /** Transfers under way to one target. */
  readonly maxTransfers: number;
}

export class Outbox {
  readonly #target: Target;
  readonly #tools: HandOverTools;
  readonly #options: OutboxOptions;
  #waiting: HeldMessage[] = [];
  #waitingBytes = 0;
  #cancelWindow: (() => void) | undefined;
  #underWay = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(target: Target, tools: HandOverTools, options: OutboxOptions) {
    this.#target = target;
    this.#tools = tools;
    this.#options = options;
  }

  /** The message is settled in any case, before long after its deadline. */
  add(message: HeldMessage): void {
    this.#waiting.push(message);
    this.#waitingBytes += message.header.sizeBytes;
    const full = this.#waiting.length >= MAX_TRANSFER_MESSAGES || this.#waitingBytes >= MAX_INLINE_BYTES;
    if (full) this.#flush();
    else this.#cancelWindow ??= this.#tools.clock.after(this.#options.windowMs, () => this.#flush());
  }

  /** Resolves when nothing waits and nothing is under way, withdrawals included. */
  idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #flush(): void {
    this.#cancelWindow?.();
    this.#cancelWindow = undefined;
    while (this.#waiting.length > 0 && this.#underWay < this.#options.maxTransfers) {
      const transfer = this.#nextTransfer();
      this.#underWay += 1;
      void handOver(this.#tools, this.#target, transfer).then(() => {
        this.#underWay -= 1;
        this.#flush();
        if (this.#waiting.length === 0 && this.#underWay === 0) {
          for (const resolve of this.#onIdle.splice(0)) resolve();
        }
      });
    }
  }

  // The oldest first; as many as fit into one request. One that must be uploaded does not fit beside any other.
  #nextTransfer(): readonly HeldMessage[] {
    let count = 0;
    let sizeBytes = 0;
    for (const { header } of this.#waiting) {
      const fits = count < MAX_TRANSFER_MESSAGES && sizeBytes + header.sizeBytes <= MAX_INLINE_BYTES;
      if (count > 0 && !fits) break;
      count += 1;
      sizeBytes += header.sizeBytes;
    }
    this.#waitingBytes -= sizeBytes;
    return this.#waiting.splice(0, count);
  }
}
