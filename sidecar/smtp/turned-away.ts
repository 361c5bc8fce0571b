// What a listener says of clients and mail that it turns away: a reason to the metrics each time, and a notice to the
// operator once a minute at most, since anybody could fill the log with them.

import type { RefusalReason } from '../intake/refusals.ts';
import type { ListenerSettings } from './settings.ts';

const NOTICE_EVERY_MS = 60_000;

type RareCode = 'memory-full' | 'auth-failed';

export class TurnedAway {
  readonly #settings: () => Pick<ListenerSettings, 'refused' | 'notice'>;
  readonly #toldAtMs = new Map<RareCode, number>();

  constructor(settings: () => Pick<ListenerSettings, 'refused' | 'notice'>) {
    this.#settings = settings;
  }

  refused(reason: RefusalReason): void {
    this.#settings().refused?.(reason);
    if (reason === 'memory')
      this.#tell('memory-full', 'as much mail is under way as Max_Held_Bytes lets in: clients are told 452');
  }

  /** A wrong name or password. */
  failedAuth(address: string): void {
    this.refused('auth');
    this.#tell('auth-failed', `a wrong name or password came from ${address}`);
  }

  #tell(code: RareCode, message: string): void {
    const nowMs = performance.now();
    const toldAtMs = this.#toldAtMs.get(code);
    if (toldAtMs !== undefined && nowMs - toldAtMs < NOTICE_EVERY_MS) return;
    this.#toldAtMs.set(code, nowMs);
    this.#settings().notice?.({ level: 'warn', code, message });
  }
}
