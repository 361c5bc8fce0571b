// Slows whoever guesses passwords: each failure of an address doubles what its next attempt waits, also over another
// connection, and attempts that come at once wait one behind the other. One success, or ten minutes without a failure,
// forgives all. Of IPv6 the /64 counts, which is one customer's (RFC 6177 §2). Lives as long as its listener.

import ipaddr from 'ipaddr.js';
import type { PasswordVerifier } from '../../shared/access/password.ts';

/** What the second attempt waits; then twice as much each, up to `MAX_DELAY_MS`. */
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 16_000;
const FORGIVEN_AFTER_MS = 600_000;
const MAX_ADDRESSES = 10_000;

export class AuthGuard {
  readonly #firstDelayMs: number;
  readonly #failures = new Map<string, { count: number; atMs: number }>();
  /** The end of the last attempt of each that has one under way. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(firstDelayMs = FIRST_DELAY_MS) {
    this.#firstDelayMs = firstDelayMs;
  }

  /** What an attempt from there waits now. */
  delayMs(address: string): number {
    return this.#delayOf(sourceOf(address));
  }

  /** `isGone` when nobody waits for the answer any more: then nothing is verified, and the answer is false. */
  verify(
    users: PasswordVerifier,
    address: string,
    name: string,
    password: string,
    isGone: () => boolean = () => false,
  ): Promise<boolean> {
    const source = sourceOf(address);
    const before = this.#turns.get(source) ?? Promise.resolve();
    const turn = before.then(async () => {
      const delayMs = isGone() ? 0 : this.#delayOf(source);
      if (delayMs > 0) await new Promise((over) => setTimeout(over, delayMs).unref());
      if (isGone()) return false;
      const right = await HASHING.run(() => users.verify(name, password));
      if (right) this.#failures.delete(source);
      else this.#failed(source);
      return right;
    });
    const over = turn
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.#turns.get(source) === over) this.#turns.delete(source);
      });
    this.#turns.set(source, over);
    return turn;
  }

  #delayOf(source: string): number {
    const failures = this.#failuresOf(source);
    return failures === 0 ? 0 : Math.min(this.#firstDelayMs * 2 ** (failures - 1), MAX_DELAY_MS);
  }

  #failuresOf(source: string): number {
    const failures = this.#failures.get(source);
    return failures === undefined || performance.now() - failures.atMs > FORGIVEN_AFTER_MS
      ? 0
      : failures.count;
  }

  #failed(source: string): void {
    const count = this.#failuresOf(source) + 1;
    this.#failures.delete(source);
    this.#failures.set(source, { count, atMs: performance.now() });
    // A Map keeps the order of insertion: the first has been quiet the longest.
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }
}

/** Whose attempts count together. */
export function sourceOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

/** A hash takes 16 MiB and one of the four threads that the disk and DNS share. */
class Few {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((next) => this.#waiting.push(next));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/** Of the whole process. */
const HASHING = new Few(2);
