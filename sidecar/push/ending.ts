// How the hand-over of one message ends. Invariant (no doubt is left): a delayed message that a receiver may have,
// and that its MTA does not get a 250 for, is withdrawn; the MTA tries it itself then. Rerouted messages are never
// withdrawn: they come back to us, under the same id. test/dialogs/sidecar-doubt.test.ts fails without it.

import { formatXferRoute } from '../../shared/config/routes.ts';
import type { Reply } from '../../shared/smtp/reply.ts';
import { sleep } from '../clock.ts';
import type { Ending } from '../log.ts';
import type { TransferTools } from './hand-over.ts';
import type { HandOverResult, HeldMessage } from './held-message.ts';
import type { Passage } from './route-health.ts';
import { type Withdrawal, type WithdrawTools, withdraw } from './withdraw.ts';

/** A message that is not settled yet. */
export interface Open {
  readonly message: HeldMessage;
  /** A receiver may have taken it, and has not said so. */
  inDoubt: boolean;
  /** Its receiver had it, or may have had it, before this hand-over began. */
  readonly isHome: boolean;
}

export interface WantedEnding {
  /** As the tries say it; doubt, and what a withdrawal brings, may change it. */
  readonly ending: Ending;
  readonly reason: string;
  readonly refusal?: Reply;
  /** Where it was tried last, and where it is if it left. */
  readonly at?: Pick<Passage, 'target' | 'route'>;
  readonly tries: number;
  readonly batch: number;
}

type EndingTools = WithdrawTools & Pick<TransferTools, 'operator' | 'health' | 'keyOf' | 'placeOf'>;

/** Settles the message, after its withdrawal where one is needed. */
export async function endMessage(
  tools: EndingTools,
  { message, inDoubt, isHome }: Open,
  { ending: wanted, reason, refusal, at, tries, batch }: WantedEnding,
): Promise<void> {
  const taken = wanted === 'accepted' || wanted === 'duplicate';
  let ending: Ending = inDoubt && !taken && wanted !== 'refused' ? 'in-doubt' : wanted;
  let withdrawal: HandOverResult['withdrawal'] = null;
  const mayBeThere = taken ? message.gone.aborted : inDoubt || isHome;
  const place = at ?? tools.placeOf(message.header.id);
  if (message.mode === 'delayed' && mayBeThere && place !== undefined) {
    withdrawal = await withdrawQuietly(tools, place, message.header.id);
    // What the receiver answers for is handed over, and the MTA may forget it.
    if (withdrawal === 'kept' && !taken) ending = 'duplicate';
    if (withdrawal === 'unconfirmed' && !taken && wanted !== 'refused') ending = 'in-doubt';
    tools.operator.withdrawn(message, withdrawal);
  }
  const mayStayThere = (taken || inDoubt || isHome) && withdrawal !== 'withdrawn';
  if (!mayStayThere) tools.health.whereabouts.forget(tools.keyOf(message.header.id));
  message.settle({
    ending,
    ...(refusal !== undefined && ending === 'refused' && { refusal }),
    reason,
    withdrawal,
    route: at === undefined ? null : formatXferRoute(at.route),
    tries,
    batch,
  });
}

/** Withdraws an id that is under way, which it stays as long as the withdrawal may still be done at the receiver. */
export async function withdrawQuietly(
  tools: Pick<EndingTools, 'client' | 'clock' | 'random' | 'health' | 'keyOf'>,
  { target, route }: Pick<Passage, 'target' | 'route'>,
  id: string,
): Promise<Withdrawal['kind']> {
  const { clock, health, keyOf } = tools;
  const withdrawal = await withdraw(tools, target, route, id);
  if (withdrawal.kind === 'unconfirmed') {
    const leftMs = withdrawal.quietAtMs - clock.nowMs();
    if (leftMs > 0) health.whereabouts.quietFrom(keyOf(id), sleep(clock, leftMs));
  }
  return withdrawal.kind;
}
