// What stands in a configuration and has no effect on one of the sides, with the reason. A file may be read by both:
// what one side does not use is no fault there. What has no effect on either side is warned of when the file is read.

import type { Configuration, Setting } from './configuration.ts';
import { evaluate, evaluateListen } from './evaluate.ts';
import { type EveryScope, everyScope } from './every-scope.ts';
import type { Fault } from './fault.ts';
import type { Option, Side } from './option.ts';
import { OPTIONS } from './options.ts';
import { TRANSFER_OPTIONS } from './options-transfer.ts';

/** One for each such setting, in the order of the stanzas. */
export function settingsWithoutEffect(configuration: Configuration, side: Side): readonly Fault[] {
  const attempts = side === 'sending' && attemptsFirst(configuration);
  return everyScope(configuration).flatMap((scope) =>
    [...scope.settings.values()].flatMap((setting) => {
      const why =
        side === 'sending'
          ? idleOnSending(configuration, scope, setting, attempts)
          : idleOnReceiving(configuration, scope, setting);
      if (why === undefined) return [];
      const { option, place } = setting;
      return [{ place, message: `${option.name} has no effect on the ${side} side: ${why}` }];
    }),
  );
}

/** Which sides a configuration speaks to: one that hands nothing over is for the receiving side. */
export function sidesOf(configuration: Configuration): readonly Side[] {
  const settings = everyScope(configuration).flatMap((scope) => [...scope.settings.values()]);
  const hasSending = settings.some(({ option }) => SENDING_SIGNS.has(option.name));
  const hasReceiving =
    configuration.scripts.some(({ source }) => source === 'msys.xfer.server') ||
    everyScope(configuration).some(
      (scope) =>
        !handsOver(configuration, scope) &&
        [...scope.settings.values()].some(({ option }) => option.side === 'receiving'),
    );
  if (!hasSending) return ['receiving'];
  return hasReceiving ? ['sending', 'receiving'] : ['sending'];
}

const SENDING_SIGNS: ReadonlySet<string> = new Set([
  OPTIONS.Reroute_Domain.name,
  OPTIONS.Delayed_Reroute_Domain.name,
  OPTIONS.Attempt_First.name,
]);

/** What a hand-over reads at the domain that mail is handed over to. */
const HAND_OVER: ReadonlySet<string> = new Set(
  Object.values<Option<unknown>>(TRANSFER_OPTIONS)
    .filter(({ name, scopes }) => scopes.includes('binding') && name !== OPTIONS.Delivery_Method.name)
    .map(({ name }) => name),
);

function idleOnSending(
  configuration: Configuration,
  scope: EveryScope,
  { option }: Setting,
  attempts: boolean,
): string | undefined {
  const own = reasonOf(option, 'sending');
  if (own !== undefined) return own;
  if (isForAll(option)) return undefined;
  if (scope.kind === 'listener') return undefined;
  if (scope.kind === 'host') return 'the sidecar limits no single mail host';
  // Its own attempts are deliveries, and leave by the Binding "default".
  if (scope.kind === 'binding' || scope.kind === 'binding-domain') {
    return attempts && option.attempt
      ? undefined
      : 'the sidecar hands all mail over the same way, without bindings';
  }
  const over = handsOver(configuration, scope);
  if (option.side === 'receiving' || (option.attempt && option.name !== OPTIONS.Routes.name)) {
    if (!option.attempt) {
      return over && RETRIES.has(option.name)
        ? 'mail that cannot be handed over stays with its MTA, which retries it'
        : 'it is for the receiving side';
    }
    if (over) return 'mail of this domain is handed over, and not delivered by SMTP';
    return attempts ? undefined : 'the sidecar delivers only where a listener has Attempt_First';
  }
  const isNamed = scope.named !== undefined && scope.named.pattern === undefined;
  return isNamed && !over && HAND_OVER.has(option.name)
    ? `mail of ${scope.named?.name} is not handed over there: Delivery_Method is not "delay_xfer"`
    : undefined;
}

const RETRIES: ReadonlySet<string> = new Set([
  OPTIONS.Retry_Interval.name,
  OPTIONS.Max_Retry_Interval.name,
  OPTIONS.Max_Retries.name,
  OPTIONS.Message_Expiration.name,
  OPTIONS.Never_Retry.name,
]);

function idleOnReceiving(
  configuration: Configuration,
  scope: EveryScope,
  { option }: Setting,
): string | undefined {
  const own = reasonOf(option, 'receiving');
  if (own !== undefined) return own;
  if (isForAll(option)) return undefined;
  if (option.side === 'sending') return 'it is for the sending side';
  return scope.kind !== 'listener' && scope.kind !== 'global' && handsOver(configuration, scope)
    ? 'mail of this domain is handed over, by the sending side'
    : undefined;
}

function reasonOf(option: Option<unknown>, side: Side): string | undefined {
  return typeof option.withoutEffect === 'object' ? option.withoutEffect[side] : undefined;
}

/** What the reading of the file has said already, or what both sides read anywhere. */
function isForAll(option: Option<unknown>): boolean {
  return typeof option.withoutEffect === 'string' || (option.side === 'both' && option.attempt !== true);
}

function handsOver(configuration: Configuration, { kind, settings, named }: EveryScope): boolean {
  const method = OPTIONS.Delivery_Method;
  if (named !== undefined && named.pattern === undefined && kind === 'domain')
    return evaluate(configuration, method, { domain: named.name }) === 'delay_xfer';
  const setting = settings.get(method.name) ?? configuration.global.get(method.name);
  const reading = setting === undefined ? undefined : method.type.read(setting.value);
  return reading?.ok === true && reading.value === 'delay_xfer';
}

function attemptsFirst(configuration: Configuration): boolean {
  const { listeners } = configuration;
  if (listeners.length === 0) return evaluate(configuration, OPTIONS.Attempt_First);
  return listeners.some((listener) =>
    listener.listens.some((listen) => evaluateListen(configuration, OPTIONS.Attempt_First, listener, listen)),
  );
}
