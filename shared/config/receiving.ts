// What a configuration asks of deliveries that they cannot give yet. Where mail of a domain goes, and under which
// TLS, is read for each domain; everything else of the receiving side holds for all domains alike, and bindings
// have no part. An order whose neglect would send mail in clear, unchecked, or elsewhere than told is a fault; any
// other is a warning. Stanzas that hand mail over (Delivery_Method = "delay_xfer") are the sending side's, and left
// alone.

import {
  type Configuration,
  type DomainScope,
  EMPTY_CONFIGURATION,
  type Setting,
  type Settings,
} from './configuration.ts';
import { evaluate } from './evaluate.ts';
import type { Fault } from './fault.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';

/** What a Domain stanza decides for its domain. */
export const BY_DOMAIN: ReadonlySet<string> = new Set([
  OPTIONS.Routes.name,
  OPTIONS.Remote_SMTP_Port.name,
  OPTIONS.Skip_Hosts.name,
  OPTIONS.TLS.name,
  OPTIONS.TLS_Verify.name,
  OPTIONS.TLS_CA.name,
  OPTIONS.Enable_MTA_STS.name,
]);

export function checkReceiving(configuration: Configuration): {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
} {
  const domains = configuration.domains.filter(({ settings }) => delivers(settings));
  const bindings = configuration.bindings
    .flatMap((binding) => [binding.settings, ...binding.domains.map(({ settings }) => settings)])
    .filter(delivers);
  const faults = [
    ...uncheckedCertificates(configuration.global, evaluate(configuration, OPTIONS.TLS)),
    ...domains.flatMap((domain) => uncheckedCertificates(domain.settings, tlsOf(configuration, domain))),
    ...bindings.flatMap((settings) =>
      writtenIn(settings, OPTIONS.TLS) === 'required' ? faultAt(settings, OPTIONS.TLS, TLS_FAULT) : [],
    ),
    ...bindings.flatMap((settings) =>
      writtenIn(settings, OPTIONS.Routes).some(({ scheme }) => scheme === 'smtp')
        ? faultAt(settings, OPTIONS.Routes, ROUTES_FAULT)
        : [],
    ),
  ];
  const warnings = [
    ...domains
      .flatMap(({ settings }) => [...settings.values()])
      .filter((setting) => isForDeliveries(setting) && !BY_DOMAIN.has(setting.option.name))
      .map(({ option, place }) => ({
        place,
        message: `${option.name} has an effect only at the top of a file yet`,
      })),
    ...bindings
      .flatMap((settings) => [...settings.values()])
      .filter(isForDeliveries)
      .map(({ option, place }) => ({
        place,
        message: `${option.name} has no effect in a Binding yet`,
      })),
  ];
  return { faults, warnings };
}

const VERIFY_FAULT = {
  message:
    'certificates are checked only where TLS = "required"; elsewhere anybody can turn TLS off on the way',
  mend: 'write TLS = "required" beside it',
};

const TLS_FAULT = {
  message: 'TLS cannot be required of one binding yet, and its mail would leave in clear',
  mend: 'write TLS = "required" in a Domain stanza, or at the top of a file for all mail',
};

const ROUTES_FAULT = {
  message:
    'a binding has no routes of its own yet, and its mail would go to the MX hosts of its domain instead',
  mend: 'write the routes in a Domain stanza, or at the top of a file',
};

function delivers(settings: Settings): boolean {
  return writtenIn(settings, OPTIONS.Delivery_Method) !== 'delay_xfer';
}

/** What holds for a domain; for a pattern, what it says itself, or else what holds for all. */
function tlsOf(configuration: Configuration, domain: DomainScope): 'no' | 'ifavailable' | 'required' {
  if (domain.pattern === undefined) return evaluate(configuration, OPTIONS.TLS, { domain: domain.name });
  const settings = new Map([...configuration.global, ...domain.settings]);
  return writtenIn(settings, OPTIONS.TLS);
}

function uncheckedCertificates(settings: Settings, tls: 'no' | 'ifavailable' | 'required'): readonly Fault[] {
  const verify = writtenIn(settings, OPTIONS.TLS_Verify);
  const checks = verify === 'host' || verify === 'ca';
  return checks && tls !== 'required' ? faultAt(settings, OPTIONS.TLS_Verify, VERIFY_FAULT) : [];
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
