// Where messages are, by target and id, beyond the hand-over of one connection. Invariant: an id is handed over once at a
// time, so that the withdrawal for an MTA that left cannot take the message from the same MTA that came back, and
// heard 250 meanwhile; a withdrawal that was given up keeps the id under way until the receiver cannot do it any more.
// Invariant: an id that a receiver has, or may have, goes to no other receiver when its MTA
// comes back. test/dialogs/sidecar-whereabouts.test.ts fails without them. In memory, the latest ids only: a restart
// forgets, and receivers that share a ledger know their ids anyhow.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Target } from '../routing/targets.ts';

/** About 5 MB; some minutes of mail at full speed, and hours at a usual one. */
const MAX_REMEMBERED = 20_000;

/**
 * A receiver that is down for so long is gone, or was replaced: a double is the lesser evil then than mail that waits for
 * it until its MTA gives it up, which some do after a day.
 */
const MAX_HOME_MS = 12 * 3_600_000;

export class Whereabouts {
  readonly #underWay = new Map<string, Promise<void>>();
  /** By ids under way. */
  readonly #begunAtMs = new Map<string, number>();
  /** By ids under way: what they wait for beyond their settling. */
  readonly #quiet = new Map<string, Promise<void>>();
  readonly #homes = new Map<string, { readonly name: string; readonly sinceMs: number }>();

  /** Resolves when the hand-over of the id that is under way has ended; undefined when none is. */
  underWay(key: string): Promise<void> | undefined {
    return this.#underWay.get(key);
  }

  /** For an id that is not under way; the answer ends it. */
  begin(key: string, nowMs: number): () => void {
    this.#begunAtMs.set(key, nowMs);
    let ended = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      ended = resolve;
    });
    this.#underWay.set(key, promise);
    return () => {
      this.#underWay.delete(key);
      this.#quiet.delete(key);
      this.#begunAtMs.delete(key);
      ended();
    };
  }

  /** A withdrawal of the id, which is under way, may be done late, and not after this promise. */
  quietFrom(key: string, quiet: Promise<void>): void {
    this.#quiet.set(key, quiet);
  }

  /** What to wait for before the id's hand-over may end. */
  quietOf(key: string): Promise<void> | undefined {
    return this.#quiet.get(key);
  }

  /** The one receiver that the id may go to, by its `homeName`. */
  homeOf(key: string): string | undefined {
    return this.#homes.get(key)?.name;
  }

  /** Whether the id has had its home for longer than mail should wait for a receiver that does not come back. */
  isOld(key: string, nowMs: number): boolean {
    const home = this.#homes.get(key);
    return home !== undefined && nowMs - home.sinceMs > MAX_HOME_MS;
  }

  leaveFor(key: string, target: Pick<Target, 'domain'>, route: XferRoute): void {
    const name = homeName(target, route);
    const before = this.#homes.get(key);
    const sinceMs = before?.name === name ? before.sinceMs : (this.#begunAtMs.get(key) ?? Infinity);
    this.#homes.delete(key);
    this.#homes.set(key, { name, sinceMs });
    if (this.#homes.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#homes.keys()) {
      this.#homes.delete(oldest);
      return;
    }
  }

  /** No receiver has it. */
  forget(key: string): void {
    this.#homes.delete(key);
  }
}

/** Two targets may name one host and port, and mean two receivers: their Host headers or paths differ. */
export function homeName({ domain }: Pick<Target, 'domain'>, route: XferRoute): string {
  return `${domain} ${formatXferRoute(route)}`;
}
