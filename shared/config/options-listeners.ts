// Options of listeners: who may hand mail over, and how the sidecar takes it.

import { option } from './option.ts';
import { filePath, flag, wholeNumber } from './value-types.ts';
import { listenAddress, networks } from './value-types-network.ts';

export const LISTENER_OPTIONS = {
  Enable: option({
    name: 'Enable',
    type: flag,
    default: true,
    scopes: ['listener'],
    side: 'both',
    meaning: 'Whether this listener, or this Listen, listens.',
    momentum: 'true',
  }),
  Relay_Hosts: option({
    name: 'Relay_Hosts',
    type: networks,
    default: [],
    defaultText: 'none: this machine alone',
    scopes: ['global', 'listener'],
    side: 'both',
    meaning: 'The networks that may hand mail over, apart from the machine itself.',
    momentum: 'none',
    deviation: 'A listener outside the loopback interface does not start without it, or Auth_Users.',
  }),
  Attempt_First: option({
    name: 'Attempt_First',
    type: flag,
    default: false,
    scopes: ['global', 'listener'],
    side: 'sending',
    meaning:
      'Whether the sidecar tries SMTP itself before it hands over mail that is not rerouted, as a Momentum sender does.',
  }),
  TLS_Certificate: option<string | undefined>({
    name: 'TLS_Certificate',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    meaning: 'A file with the certificate of the listener and those that vouch for it, in PEM.',
    momentum: 'none',
    deviation: 'With it, and TLS_Key, the listener offers STARTTLS. Deliveries show no certificate.',
    file: 'certificates',
  }),
  TLS_Key: option<string | undefined>({
    name: 'TLS_Key',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    meaning: 'A file with the key of TLS_Certificate, in PEM.',
    momentum: 'none',
    file: 'key',
  }),
  TLS_Required: option({
    name: 'TLS_Required',
    type: flag,
    default: false,
    scopes: ['listener'],
    side: 'sending',
    meaning: 'Whether MAIL is refused before STARTTLS; clients on the loopback interface are exempt.',
  }),
  Auth_Users: option<string | undefined>({
    name: 'Auth_Users',
    type: filePath,
    default: undefined,
    scopes: ['listener'],
    side: 'sending',
    meaning:
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
    meaning: 'Where the sidecar answers Prometheus, on the loopback interface: "127.0.0.1:9325".',
  }),
  Max_Held_Bytes: option({
    name: 'Max_Held_Bytes',
    type: wholeNumber(8_388_608, 1_099_511_627_776),
    unit: 'bytes',
    default: 268_435_456,
    scopes: ['global'],
    side: 'sending',
    meaning: 'Content that the sidecar holds in memory at once; past it clients hear 452.',
  }),
  Max_Scratch_Bytes: option({
    name: 'Max_Scratch_Bytes',
    type: wholeNumber(0, 1_099_511_627_776),
    unit: 'bytes',
    default: 4_294_967_296,
    scopes: ['global'],
    side: 'sending',
    meaning:
      'Content of messages over 4 MiB that the sidecar holds at once, in files without a name in its temporary ' +
      'folder; past it clients hear 452.',
  }),
  Max_Inbound_Connections: option({
    name: 'Max_Inbound_Connections',
    type: wholeNumber(1, 100_000),
    unit: 'connections',
    default: 500,
    scopes: ['global', 'listener'],
    side: 'sending',
    meaning: 'Connections that a listener keeps open at once; past it clients hear 421.',
  }),
};
