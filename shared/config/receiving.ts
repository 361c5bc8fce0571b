// What a configuration asks of deliveries that they cannot give, or that an operator may not mean. Options hold where
// they are written: at the top of a file, for a Domain, for the Binding `default` and its Binding_Group. Other bindings
// carry no mail yet: an order there whose neglect would send mail in clear, or elsewhere than told, is a fault; any
// other is a warning. Stanzas that hand mail over (Delivery_Method = "delay_xfer") are the sending side's, and left
// alone.

import {
  type BindingGroupScope,
  type Configuration,
  EMPTY_CONFIGURATION,
  type Setting,
  type Settings,
} from './configuration.ts';
import { DEFAULT_BINDING } from './delivery-settings.ts';
import { type At, evaluate } from './evaluate.ts';
import type { Fault } from './fault.ts';
import { idleTransfers } from './idle-transfers.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';

export function checkReceiving(configuration: Configuration): {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
} {
  const effective = effectiveScopes(configuration);
  const idle = inertBindings(configuration);
  const inert = idle.flatMap(settingsWithin).filter(delivers);
  const inertHosts = idle.flatMap(({ hosts }) => hosts.map(({ settings }) => settings));
  return {
    faults: [
      ...effective.flatMap((scope) => [
        ...uncheckedCertificates(scope.settings, scope.value(OPTIONS.TLS)),
        ...unreadableReplies(scope.settings),
      ]),
      ...inert.flatMap(bindingFaults),
      ...idleTransfers(configuration),
    ],
    warnings: [
      ...effective.flatMap(mailThatFails),
      ...effective.flatMap(halfTranscodes),
      ...[...inert, ...inertHosts]
        .flatMap((settings) => [...settings.values()])
        .filter(isForDeliveries)
        .map(({ option, place }) => ({
          place,
          message: `${option.name} has no effect here yet: all mail goes by the Binding "${DEFAULT_BINDING}"`,
        })),
    ],
  };
}

/** Settings that stand together, and what holds for the mail that they are about. */
interface EffectiveScope {
  readonly settings: Settings;
  value<T>(option: Option<T>): T;
}

function effectiveScopes(configuration: Configuration): readonly EffectiveScope[] {
  const binding = DEFAULT_BINDING;
  const at = (settings: Settings, place: At): EffectiveScope => ({
    settings,
    value: (option) => evaluate(configuration, option, place),
  });
  // For a pattern, what it says itself, or else what holds for all.
  const alone = (settings: Settings): EffectiveScope => {
    const global = new Map([...configuration.global, ...settings]);
    return { settings, value: (option) => evaluate({ ...EMPTY_CONFIGURATION, global }, option) };
  };
  const bindings = [
    ...configuration.bindings.filter(({ name }) => name === binding),
    ...configuration.groups.filter((group) => holdsDefault(configuration, group)),
  ];
  const domains = [...configuration.domains, ...bindings.flatMap((scope) => scope.domains)];
  return [
    at(configuration.global, { binding }),
    ...bindings.map(({ settings }) => at(settings, { binding })),
    ...domains.map(({ name, pattern, settings }) =>
      pattern === undefined ? at(settings, { binding, domain: name }) : alone(settings),
    ),
  ].filter(({ settings }) => delivers(settings));
}

function inertBindings(configuration: Configuration): readonly BindingGroupScope[] {
  return [
    ...configuration.bindings.filter(({ name }) => name !== DEFAULT_BINDING),
    ...configuration.groups.filter((group) => !holdsDefault(configuration, group)),
  ];
}

function holdsDefault({ bindings }: Configuration, { name }: BindingGroupScope): boolean {
  return bindings.some((binding) => binding.name === DEFAULT_BINDING && binding.group === name);
}

function settingsWithin({ settings, domains }: BindingGroupScope): readonly Settings[] {
  return [settings, ...domains.map((domain) => domain.settings)];
}

const VERIFY_FAULT = {
  message:
    'certificates are checked only where TLS = "required"; elsewhere anybody can turn TLS off on the way',
  mend: 'write TLS = "required" beside it',
};

const TLS_FAULT = {
  message: 'TLS cannot be required of this binding yet, and its mail would leave in clear',
  mend: `write TLS = "required" in a Domain stanza, in the Binding "${DEFAULT_BINDING}", or at the top of a file`,
};

const ROUTES_FAULT = {
  message:
    'this binding has no routes of its own yet, and its mail would go to the MX hosts of its domain instead',
  mend: `write the routes in a Domain stanza, in the Binding "${DEFAULT_BINDING}", or at the top of a file`,
};

const REPLACE_FAULT = {
  message: 'a reply is read as another one of 4xx or 5xx, and this is none',
  mend: 'begin it with a code, like "450 4.2.0 $0"',
};

function bindingFaults(settings: Settings): readonly Fault[] {
  const isRouted =
    settings.has(OPTIONS.Gateway.name) ||
    writtenIn(settings, OPTIONS.Routes).some(({ scheme }) => scheme === 'smtp');
  return [
    ...(writtenIn(settings, OPTIONS.TLS) === 'required' ? faultAt(settings, OPTIONS.TLS, TLS_FAULT) : []),
    ...(isRouted
      ? [
          ...faultAt(settings, OPTIONS.Routes, ROUTES_FAULT),
          ...faultAt(settings, OPTIONS.Gateway, ROUTES_FAULT),
        ]
      : []),
  ];
}

function uncheckedCertificates(settings: Settings, tls: 'no' | 'ifavailable' | 'required'): readonly Fault[] {
  const verify = writtenIn(settings, OPTIONS.TLS_Verify);
  const checks = verify === 'host' || verify === 'ca';
  return checks && tls !== 'required' ? faultAt(settings, OPTIONS.TLS_Verify, VERIFY_FAULT) : [];
}

function unreadableReplies(settings: Settings): readonly Fault[] {
  const replacement = writtenIn(settings, OPTIONS.Response_Transcode_Replace);
  // What comes of a reference is not known before a reply is there.
  const mayBeReply = replacement === undefined || /^(\$|[45]\d\d([ -]|$)|[45][\d$]{0,2}\$)/.test(replacement);
  return mayBeReply ? [] : faultAt(settings, OPTIONS.Response_Transcode_Replace, REPLACE_FAULT);
}

function halfTranscodes({ settings, value }: EffectiveScope): readonly Fault[] {
  const { Response_Transcode_Pattern: pattern, Response_Transcode_Replace: replacement } = OPTIONS;
  const missing =
    value(pattern) === undefined ? pattern : value(replacement) === undefined ? replacement : undefined;
  if (missing === undefined) return [];
  const told = { message: `replies are read as they come: ${missing.name} is missing` };
  return [...faultAt(settings, pattern, told), ...faultAt(settings, replacement, told)];
}

/** Loud, since it may be the remnant of a test: mail is lost by it that nobody wanted to lose. */
function mailThatFails({ settings, value }: EffectiveScope): readonly Fault[] {
  if (writtenIn(settings, OPTIONS.Blackhole) === 'false') return [];
  const who = value(OPTIONS.Generate_Bounces) ? 'its senders get a bounce' : 'and nobody is told';
  const message = `Blackhole: all mail that this holds for fails without an attempt; ${who}`;
  return faultAt(settings, OPTIONS.Blackhole, { message });
}

function delivers(settings: Settings): boolean {
  return writtenIn(settings, OPTIONS.Delivery_Method) !== 'delay_xfer';
}

function writtenIn<T>(settings: Settings, option: Option<T>): T {
  return evaluate({ ...EMPTY_CONFIGURATION, global: settings }, option);
}

function faultAt(settings: Settings, option: Option<unknown>, fault: Omit<Fault, 'place'>): readonly Fault[] {
  const setting = settings.get(option.name);
  return setting === undefined ? [] : [{ place: setting.place, ...fault }];
}

// EHLO_Hostname is the listeners' as well, which stand in stanzas of their own.
function isForDeliveries({ option }: Setting): boolean {
  return (
    (option.side === 'receiving' || option.name === OPTIONS.EHLO_Hostname.name) &&
    option.withoutEffect === undefined
  );
}
