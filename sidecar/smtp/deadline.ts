// One timer for a session, however often its deadline moves: it is armed once and looks again when it fires, so
// that a command costs no timer.

export class Deadline {
  readonly #passed: () => void;
  #atMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(passed: () => void) {
    this.#passed = passed;
  }

  /** From now on. Never sooner than the one that it replaces, unless that was none. */
  set(delayMs: number): void {
    this.#setAt(performance.now() + delayMs);
  }

  /** Later by so much, but not beyond `mostMs` from now. */
  extend(byMs: number, mostMs: number): void {
    this.#setAt(Math.min(this.#atMs + byMs, performance.now() + mostMs));
  }

  /** None until the next `set`. */
  clear(): void {
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  /** For good. */
  stop(): void {
    this.clear();
    clearTimeout(this.#timer);
  }

  #setAt(atMs: number): void {
    this.#atMs = atMs;
    this.#timer ??= setTimeout(() => this.#look(), Math.max(atMs - performance.now(), 1));
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#atMs === Number.POSITIVE_INFINITY) return;
    if (this.#atMs <= performance.now()) this.#passed();
    else this.#setAt(this.#atMs);
  }
}
