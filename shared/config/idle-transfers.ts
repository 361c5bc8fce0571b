// Routes that begin with xfer:// where nothing is handed over: mail would go to MX hosts instead, and nobody would be
// told. What stands at the top, or in a Domain, may be meant for another Domain that takes it over from there.

import type { Configuration, Settings } from './configuration.ts';
import { type At, evaluate, findSetting } from './evaluate.ts';
import type { Fault } from './fault.ts';
import { transferRoutes } from './hand-overs.ts';
import { OPTIONS } from './options.ts';

const { Routes, Delivery_Method } = OPTIONS;

export function idleTransfers(configuration: Configuration): readonly Fault[] {
  const used = transferRoutes(configuration);
  const { global, domains, bindings } = configuration;
  const written: readonly (readonly [Settings, string])[] = [
    [global, 'in a Domain, or beside it'],
    ...domains.map(({ settings }) => [settings, 'in this Domain'] as const),
    ...bindings.flatMap((binding) =>
      binding.domains
        .filter(({ name, pattern }) => pattern === undefined && !handsOver(configuration, binding.name, name))
        .map(({ settings }) => [settings, 'in this Domain'] as const),
    ),
  ];
  return written.flatMap(([settings, where]) => {
    const setting = settings.get(Routes.name);
    if (setting === undefined || used.has(setting)) return [];
    const { value } = setting;
    const reading = Routes.type.read(value);
    const index = reading.ok ? reading.value.findIndex(({ scheme }) => scheme === 'xfer') : -1;
    if (index < 0) return [];
    const item = value.kind === 'list' ? value.items[index] : value;
    const message = `xfer:// needs Delivery_Method = "delay_xfer" ${where}`;
    const mend = 'write it, or routes that begin with smtp://';
    return [{ place: (item ?? setting).place, message, mend }];
  });
}

function handsOver(configuration: Configuration, binding: string, domain: string): boolean {
  const at: At = { binding, domain };
  return (
    evaluate(configuration, Delivery_Method, at) === 'delay_xfer' &&
    findSetting(configuration, Routes, at) !== undefined
  );
}
