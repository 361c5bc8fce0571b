// Options of listeners: who may hand mail over, and how the sidecar takes it.

import { option } from './option.ts';
import { filePath, flag, listenAddress, networks, wholeNumber } from './value-types.ts';

export const LISTENER_OPTIONS = {
  Relay_Hosts: option({
    name: 'Relay_Hosts',
    type: networks,
    default: [],
    scopes: ['global', 'listener'],
    side: 'both',
    momentum: 'The networks that may relay through this machine.',
    deviation: 'A listener outside the loopback interface does not start without it, or Auth_Users.',
  }),
  Attempt_First: option({
    name: 'Attempt_First',
    type: flag,
    default: false,
    scopes: ['global', 'listener'],
    side: 'sending',
    deviation: 'Whether the sidecar tries SMTP itself before it hands over.',
  }),
  TLS_Certificate: option<string | undefined>({
    name: 'TLS_Certificate',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    momentum: 'A file with the certificate of the listener and those that vouch for it, in PEM.',
    deviation: 'With it, and TLS_Key, the listener offers STARTTLS.',
    file: 'certificates',
  }),
  TLS_Key: option<string | undefined>({
    name: 'TLS_Key',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    momentum: 'A file with the key of TLS_Certificate, in PEM.',
    file: 'key',
  }),
  TLS_Required: option({
    name: 'TLS_Required',
    type: flag,
    default: false,
    scopes: ['listener'],
    side: 'sending',
    deviation: 'Whether MAIL is refused before STARTTLS; clients on the loopback interface are exempt.',
  }),
  Auth_Users: option<string | undefined>({
    name: 'Auth_Users',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    deviation:
      'A file of users and password hashes, as `npm run credential` makes them. Who authenticates may hand mail ' +
      'over from anywhere; AUTH is offered over TLS, and in clear on the loopback interface.',
    file: 'users',
  }),
  Metrics_Listen: option({
    name: 'Metrics_Listen',
    type: listenAddress,
    default: undefined,
    scopes: ['global'],
    side: 'sending',
    deviation: 'Where the sidecar answers Prometheus, on the loopback interface: "127.0.0.1:9325".',
  }),
  Max_Held_Bytes: option({
    name: 'Max_Held_Bytes',
    type: wholeNumber(8_388_608, 1_099_511_627_776),
    unit: 'bytes',
    default: 268_435_456,
    scopes: ['global'],
    side: 'sending',
    deviation: 'Content that the sidecar holds in memory at once; past it clients hear 452.',
  }),
  Max_Inbound_Connections: option({
    name: 'Max_Inbound_Connections',
    type: wholeNumber(1, 100_000),
    unit: 'connections',
    default: 500,
    scopes: ['global', 'listener'],
    side: 'sending',
    deviation: 'Connections that a listener keeps open at once; past it clients hear 421.',
  }),
};
