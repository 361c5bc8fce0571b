// Slows whoever guesses passwords: each failure of an address doubles what its next attempt waits, also over another
// connection. One success, or ten minutes without a failure, forgives all. Lives as long as its listener.

import type { PasswordVerifier } from '../../shared/access/password.ts';

/** What the second attempt waits; then twice as much each, up to `MAX_DELAY_MS`. */
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 16_000;
const FORGIVEN_AFTER_MS = 600_000;
const MAX_ADDRESSES = 10_000;

export class AuthGuard {
  readonly #firstDelayMs: number;
  readonly #failures = new Map<string, { count: number; atMs: number }>();

  constructor(firstDelayMs = FIRST_DELAY_MS) {
    this.#firstDelayMs = firstDelayMs;
  }

  /** What an attempt from there waits now. */
  delayMs(address: string): number {
    const failures = this.#failuresOf(address);
    return failures === 0 ? 0 : Math.min(this.#firstDelayMs * 2 ** (failures - 1), MAX_DELAY_MS);
  }

  async verify(users: PasswordVerifier, address: string, name: string, password: string): Promise<boolean> {
    const delayMs = this.delayMs(address);
    if (delayMs > 0) await new Promise((over) => setTimeout(over, delayMs).unref());
    const right = await users.verify(name, password);
    if (right) this.#failures.delete(address);
    else this.#failed(address);
    return right;
  }

  #failuresOf(address: string): number {
    const failures = this.#failures.get(address);
    return failures === undefined || performance.now() - failures.atMs > FORGIVEN_AFTER_MS
      ? 0
      : failures.count;
  }

  #failed(address: string): void {
    const count = this.#failuresOf(address) + 1;
    this.#failures.delete(address);
    this.#failures.set(address, { count, atMs: performance.now() });
    // A Map keeps the order of insertion: the first has been quiet the longest.
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }
}
