// The one table of options: what each is called, takes and means, where it may stand and which side reads it. Its
// rows stand by topic in the files imported here. To add an option, add a row; the reader, the nearest-name advice
// and the checks follow.

import { type Option, option } from './option.ts';
import { DELIVERY_OPTIONS } from './options-delivery.ts';
import { LISTENER_OPTIONS } from './options-listeners.ts';
import { REPORT_OPTIONS } from './options-reports.ts';
import { RETRY_OPTIONS } from './options-retry.ts';
import { ROUTING_OPTIONS } from './options-routing.ts';
import { TLS_OPTIONS } from './options-tls.ts';
import { TRANSFER_OPTIONS } from './options-transfer.ts';
import { anyText } from './value-types.ts';

export type { Option, Scope } from './option.ts';

export const OPTIONS = {
  ...TRANSFER_OPTIONS,
  ...RETRY_OPTIONS,
  ...ROUTING_OPTIONS,
  ...DELIVERY_OPTIONS,
  ...TLS_OPTIONS,
  ...REPORT_OPTIONS,
  ...LISTENER_OPTIONS,

  // Scripts.
  source: option<string | undefined>({
    name: 'source',
    type: anyText,
    default: undefined,
    scopes: ['script'],
    side: 'both',
    meaning: 'The module that a script loads: msys.xfer.server and msys.xfer.client are part of the product.',
    momentum: 'none',
  }),
};

/** Every option by its lower-case name. */
export const OPTIONS_BY_NAME: ReadonlyMap<string, Option<unknown>> = new Map(
  Object.values<Option<unknown>>(OPTIONS).map((row) => [row.name.toLowerCase(), row]),
);
