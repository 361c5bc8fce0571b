// What a configuration asks of deliveries that they cannot give yet: options of the receiving side hold for all
// domains alike. An order whose neglect would send mail in clear, or elsewhere than told, is a fault; any other is
// a warning. Stanzas that hand mail over (Delivery_Method = "delay_xfer") are the sending side's, and left alone.

import { type Configuration, EMPTY_CONFIGURATION, type Setting, type Settings } from './configuration.ts';
import { evaluate } from './evaluate.ts';
import type { Fault } from './fault.ts';
import { OPTIONS, type Option } from './options.ts';

export function checkReceiving(configuration: Configuration): {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
} {
  const { bindings, domains, global } = configuration;
  const stanzas = [...domains, ...bindings, ...bindings.flatMap((binding) => binding.domains)].map(
    ({ settings }) => settings,
  );
  const delivering = stanzas.filter(
    (settings) => writtenIn(settings, OPTIONS.Delivery_Method) !== 'delay_xfer',
  );
  const faults = [
    ...delivering.flatMap((settings) =>
      writtenIn(settings, OPTIONS.TLS) === 'required' ? faultAt(settings, OPTIONS.TLS, TLS_FAULT) : [],
    ),
    ...[global, ...stanzas].flatMap((settings) =>
      writtenIn(settings, OPTIONS.Routes).some(({ scheme }) => scheme === 'smtp')
        ? faultAt(settings, OPTIONS.Routes, ROUTES_FAULT)
        : [],
    ),
  ];
  const warnings = delivering
    .flatMap((settings) => [...settings.values()])
    .filter(isForDeliveries)
    .map(({ option, place }) => ({
      place,
      message: `${option.name} has an effect only at the top of a file yet`,
    }));
  return { faults, warnings };
}

const TLS_FAULT = {
  message: 'TLS cannot be required of one domain or binding yet, and its mail would leave in clear',
  mend: 'write TLS = "required" at the top of a file, for all mail',
};

const ROUTES_FAULT = {
  message: 'smtp:// routes are not followed yet, and mail would go to the MX hosts of its domain instead',
  mend: 'take the route out',
};

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
