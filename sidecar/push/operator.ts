// What an operator is told about hand-overs beyond the log of each message. A receiver that refuses every request is
// told of once a minute, with the number of times, not once for each message.

import { formatXferRoute, type XferRoute } from '../../shared/config/routes.ts';
import type { Clock } from '../clock.ts';
import type { Log, NoticeCode } from '../log.ts';
import type { HandOverResult, HeldMessage } from './held-message.ts';

const SILENCE_MS = 60_000;

export class Operator {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #told = new Map<string, { atMs: number; since: number }>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Of a request that the receiver does not take, for a reason that a person must mend. */
  refused(route: XferRoute, status: number, reason: string): void {
    const refusesUs = [401, 402, 403, 404, 407].includes(status) || (status >= 300 && status < 400);
    this.#seldom(refusesUs ? 'receiver-refuses-us' : 'request-faulty', formatXferRoute(route), reason);
  }

  /** Of a request that cannot leave for a reason on this side. */
  cannotSend(route: XferRoute, reason: string): void {
    this.#seldom('cannot-send', formatXferRoute(route), reason);
  }

  /** `unheard`: whoever handed it in is not told that it was taken, whatever the withdrawal brought. */
  withdrawn(
    { header: { id }, gone }: Pick<HeldMessage, 'header' | 'gone'>,
    withdrawal: HandOverResult['withdrawal'],
    unheard?: 'unheard',
  ): void {
    if (withdrawal === 'unconfirmed') {
      this.#log.notice({
        level: 'error',
        code: 'withdrawal-unconfirmed',
        message: `${id} may be at the receiver and at its MTA: the withdrawal was not answered`,
      });
    } else if (withdrawal === 'kept' && (gone.aborted || unheard !== undefined)) {
      this.#log.notice({
        level: 'warn',
        code: 'double-possible',
        message: gone.aborted
          ? `${id} is at the receiver, which has begun with it, and its MTA left without hearing so`
          : `${id} is at one receiver, which has begun with it, and its sender keeps it since another did not take it`,
      });
    }
  }

  /** Of a message that a receiver may have, which is down for hours: it may go to another now. */
  letGo(id: string, route: XferRoute): void {
    const message = `${id} may be at ${formatXferRoute(route)}, which is down for hours: it goes to another receiver now`;
    this.#log.notice({ level: 'error', code: 'double-possible', message });
  }

  #seldom(code: NoticeCode, route: string, reason: string): void {
    const key = `${code} ${route}`;
    const nowMs = this.#clock.nowMs();
    const told = this.#told.get(key);
    if (told !== undefined && nowMs < told.atMs + SILENCE_MS) {
      told.since += 1;
      return;
    }
    const since = told?.since ?? 0;
    this.#told.set(key, { atMs: nowMs, since: 0 });
    const before = since === 0 ? '' : ` (and ${since} times since this was told last)`;
    this.#log.notice({
      level: 'error',
      code,
      message: `${route}: ${reason}; mail waits at its MTA${before}`,
    });
  }
}
