// What in a configuration cannot work on the sending side, and what would delay or lose mail there, told before the
// sidecar starts. A combination that can hand nothing over is a fault; one that works, and works against its
// operator, is a warning. Where reroutes lead is asked elsewhere: sidecar/routing/targets.ts.

import type { Configuration } from './configuration.ts';
import { evaluate, evaluateListen } from './evaluate.ts';
import type { Fault } from './fault.ts';
import { type HandOver, handOvers } from './hand-overs.ts';
import { idleTransfers } from './idle-transfers.ts';
import { OPTIONS } from './options.ts';
import { checkReceiving } from './receiving.ts';
import { checkListeners } from './sending-listeners.ts';
import { routeFaults, routeWarnings } from './sending-routes.ts';

export interface Checked {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
}

export function checkSending(configuration: Configuration): Checked {
  const targets = handOvers(configuration);
  const listeners = checkListeners(configuration);
  const attempts = attemptsFirst(configuration);
  return {
    faults: distinct([
      ...targets.flatMap((target) => [...routeFaults(target), ...deadlineFaults(target)]),
      ...idleTransfers(configuration),
      ...listeners.faults,
      // What the sidecar delivers itself is subject to what holds for deliveries.
      ...(attempts ? checkReceiving(configuration).faults : []),
    ]),
    warnings: distinct([
      ...targets.flatMap((target) => [
        ...routeWarnings(target),
        ...retryWarnings(target),
        ...deadlineWarnings(target, attempts),
      ]),
      ...listeners.warnings,
    ]),
  };
}

/** One fault a place, the first one: for those who ask several checks. */
export function distinct(faults: readonly Fault[]): readonly Fault[] {
  const places = new Map<string, Fault>();
  for (const fault of faults) {
    const { file, line, column } = fault.place;
    const key = `${file}:${line}:${column}:${fault.message}`;
    if (!places.has(key)) places.set(key, fault);
  }
  return [...places.values()];
}

/** From the withdrawal of a message in doubt to its confirmation. */
const WITHDRAWAL_SECONDS = 30;
/** What an attempt of the sidecar's own takes at most. */
const ATTEMPT_SECONDS = 120;
/** MTAs that are impatient wait so long for the reply to the final dot; RFC 5321 §4.5.3.2.6 asks for 600. */
const MTA_PATIENCE_SECONDS = 300;

function deadlineFaults({ get, setting, method }: HandOver): readonly Fault[] {
  const deadlineSeconds = get(OPTIONS.Handoff_Deadline);
  const timeoutMs = get(OPTIONS.Delivery_Response_Timeout);
  if (timeoutMs <= deadlineSeconds * 1_000) return [];
  const at = setting(OPTIONS.Delivery_Response_Timeout) ?? setting(OPTIONS.Handoff_Deadline) ?? method;
  return [
    {
      place: at.place,
      message: `one try may take ${timeoutMs} ms, and all of them together have ${deadlineSeconds} s`,
      mend: 'make Delivery_Response_Timeout shorter than Handoff_Deadline',
    },
  ];
}

function deadlineWarnings({ get, setting }: HandOver, attempts: boolean): readonly Fault[] {
  const warnings: Fault[] = [];
  const deadline = setting(OPTIONS.Handoff_Deadline);
  const deadlineSeconds = get(OPTIONS.Handoff_Deadline);
  const inAllSeconds = deadlineSeconds + WITHDRAWAL_SECONDS + (attempts ? ATTEMPT_SECONDS : 0);
  if (deadline !== undefined && inAllSeconds >= MTA_PATIENCE_SECONDS) {
    const most = MTA_PATIENCE_SECONDS - 10 - (inAllSeconds - deadlineSeconds);
    const parts = `${deadlineSeconds} s, ${WITHDRAWAL_SECONDS} s for a withdrawal${
      attempts ? ` and ${ATTEMPT_SECONDS} s for an attempt before` : ''
    }`;
    warnings.push({
      place: deadline.place,
      message: `an MTA that waits ${MTA_PATIENCE_SECONDS} s hangs up before its reply: ${parts}`,
      mend: `write at most ${most}`,
    });
  }
  const timeout = setting(OPTIONS.Delivery_Response_Timeout);
  const timeoutMs = get(OPTIONS.Delivery_Response_Timeout);
  if (timeout !== undefined && timeoutMs < 1_000) {
    warnings.push({
      place: timeout.place,
      message: `Delivery_Response_Timeout is ${timeoutMs} milliseconds: most receivers take longer to store mail`,
      ...(timeoutMs <= 600 && { mend: `for ${timeoutMs} seconds, write ${timeoutMs * 1_000}` }),
    });
  }
  return warnings;
}

function retryWarnings({ get, setting, method, told }: HandOver): readonly Fault[] {
  if (get(OPTIONS.Max_Retries) === 'none' && setting(OPTIONS.Max_Retries) !== undefined) return [];
  const place = (setting(OPTIONS.Max_Retries) ?? method).place;
  const message =
    `a Momentum that reads ${told} bounces mail once its transfer has failed as often as Max_Retries ("auto" by ` +
    'default) allows, and while a receiver is down that is soon';
  return [{ place, message, mend: 'write Max_Retries = "none" there; the sidecar does not need it' }];
}

function attemptsFirst(configuration: Configuration): boolean {
  const option = OPTIONS.Attempt_First;
  if (configuration.listeners.length === 0) return evaluate(configuration, option);
  return configuration.listeners.some((listener) =>
    listener.listens.some((listen) => evaluateListen(configuration, option, listener, listen)),
  );
}
