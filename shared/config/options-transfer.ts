// Options of the sending side: which mail is handed over, to whom, and how a transfer is made.

import { DELIVERY_SCOPES, DOMAIN_SCOPES, option } from './option.ts';
import { choice, flag, wholeNumber } from './value-types.ts';
import { deliveryMethod, instanceName } from './value-types-mail.ts';
import { credentials, domainOrDisabled, httpHost, uriPath } from './value-types-network.ts';

export const TRANSFER_OPTIONS = {
  // Which mail goes where.
  Reroute_Domain: option<string | undefined>({
    name: 'Reroute_Domain',
    type: domainOrDisabled,
    default: undefined,
    scopes: DOMAIN_SCOPES,
    side: 'sending',
    meaning: 'Mail of this domain is handed over as mail of that domain; "disabled" stops a chain.',
    momentum: 'none',
    deviation: 'A permanent refusal of the receiver passes through to the program that handed the mail over.',
  }),
  Delayed_Reroute_Domain: option<string | undefined>({
    name: 'Delayed_Reroute_Domain',
    type: domainOrDisabled,
    default: undefined,
    scopes: DOMAIN_SCOPES,
    side: 'sending',
    meaning: 'Mail that was deferred is handed over as mail of that domain; "disabled" stops a chain.',
    momentum: 'none',
    deviation: 'Whatever reaches a listener counts as deferred once, since its MTA has tried it.',
  }),
  Delivery_Method: option({
    name: 'Delivery_Method',
    type: deliveryMethod,
    default: 'smtp' as const,
    scopes: DELIVERY_SCOPES,
    side: 'both',
    meaning:
      'How mail of this domain leaves: "smtp", "lmtp" at LMTP_Port, or "delay_xfer" over HTTP to a receiver, which ' +
      'a receiver itself delivers by SMTP.',
    momentum: 'esmtp',
    deviation: '"esmtp" means the same as "smtp": EHLO is always tried first. There are no other methods.',
  }),

  // How a transfer is made.
  HTTP_URI: option({
    name: 'HTTP_URI',
    type: uriPath,
    default: '/delay_message',
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'The path of the request. Uploads go to `{HTTP_URI}/uploads`, withdrawals to `{HTTP_URI}/{id}`.',
    momentum: 'none',
    deviation: 'It has a default, since every receiver answers there.',
  }),
  HTTP_METHOD: option({
    name: 'HTTP_METHOD',
    type: choice('POST'),
    default: 'POST' as const,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'The method of the request.',
    momentum: 'POST',
    deviation: 'A transfer is always a POST.',
  }),
  HTTP_HOST: option<string | undefined>({
    name: 'HTTP_HOST',
    type: httpHost,
    default: undefined,
    defaultText: "the route's host",
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'The Host header of the request; the connection goes to the route.',
    momentum: 'none',
  }),
  HTTP_Version: option({
    name: 'HTTP_Version',
    type: choice('1.1'),
    default: '1.1' as const,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'The version of HTTP in requests.',
    momentum: '1.1',
    deviation:
      'A transfer is always HTTP/1.1; 0.9 and 1.0 know no Host header, without which APIs refuse it.',
  }),
  HTTP_Basic_Auth: option<{ readonly user: string; readonly password: string } | undefined>({
    name: 'HTTP_Basic_Auth',
    type: credentials,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'User name and password of the request, "user:password".',
    momentum: 'none',
    secret: true,
  }),
  Delivery_Response_Timeout: option({
    name: 'Delivery_Response_Timeout',
    type: wholeNumber(1, 600_000),
    unit: 'milliseconds',
    default: 10_000,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning:
      'How long one try waits for its answer; tries follow each other until Handoff_Deadline. From 2000 on the ' +
      'receiver is told, and commits nothing that we would not hear of.',
    momentum: '5000',
    deviation: 'As in the example of the XFER page.',
  }),
  Host_Failure_Retry: option({
    name: 'Host_Failure_Retry',
    type: wholeNumber(0, 86_400),
    unit: 'seconds',
    default: 5,
    scopes: DELIVERY_SCOPES,
    side: 'both',
    meaning: 'How long an address is left alone after a failure to connect.',
    momentum: '120',
    deviation: 'Nothing is spooled meanwhile, so mail waits at its MTA while every route is left alone.',
    withoutEffect: {
      receiving: 'deliveries find out again at each attempt whether a mail host answers',
    },
  }),
  Handoff_Deadline: option({
    name: 'Handoff_Deadline',
    type: wholeNumber(1, 240),
    unit: 'seconds',
    default: 120,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning:
      'How long a message is tried in all, from the end of its content; in doubt it is repeated to the same ' +
      'receiver. A withdrawal may take 30 s after it, and MTAs wait 300 to 600 s for the reply.',
  }),
  Instance: option<string | undefined>({
    name: 'Instance',
    type: instanceName,
    default: undefined,
    defaultText: 'the host name',
    scopes: ['global'],
    side: 'sending',
    meaning:
      'Part of derived ids. Each sidecar that takes deferred mail (fallback) has its own, since what one withdraws ' +
      'another may have said 250 for; sidecars that take rerouted mail alone share it.',
  }),
  Teleport_Enabled: option({
    name: 'Teleport_Enabled',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    meaning: 'Keeps the context of a message in memory after its transfer failed for now.',
    momentum: 'false',
    withoutEffect: 'a message whose transfer fails stays with its MTA, so there is no context to keep',
  }),
};
