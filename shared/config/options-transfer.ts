// Options of the sending side: which mail is handed over, to whom, and how a transfer is made.

import { DELIVERY_SCOPES, DOMAIN_SCOPES, option } from './option.ts';
import {
  choice,
  credentials,
  domainOrDisabled,
  flag,
  httpHost,
  instanceName,
  uriPath,
  wholeNumber,
} from './value-types.ts';

export const TRANSFER_OPTIONS = {
  // Which mail goes where.
  Reroute_Domain: option<string | undefined>({
    name: 'Reroute_Domain',
    type: domainOrDisabled,
    default: undefined,
    scopes: DOMAIN_SCOPES,
    side: 'sending',
    momentum: 'Mail of this domain is queued for that domain instead; "disabled" stops it.',
    deviation: 'A permanent refusal of the receiver passes through to the program that handed the mail over.',
  }),
  Delayed_Reroute_Domain: option<string | undefined>({
    name: 'Delayed_Reroute_Domain',
    type: domainOrDisabled,
    default: undefined,
    scopes: DOMAIN_SCOPES,
    side: 'sending',
    momentum: 'Mail that was deferred is queued for that domain; "disabled" stops it.',
    deviation: 'Whatever reaches a listener counts as deferred once, since its MTA has tried it.',
  }),
  Delivery_Method: option({
    name: 'Delivery_Method',
    type: choice('smtp', 'delay_xfer'),
    default: 'smtp' as const,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'How mail of this domain leaves; default smtp.',
  }),

  // How a transfer is made.
  HTTP_URI: option({
    name: 'HTTP_URI',
    type: uriPath,
    default: '/delay_message',
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'The path of the request.',
  }),
  HTTP_METHOD: option({
    name: 'HTTP_METHOD',
    type: choice('POST'),
    default: 'POST' as const,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'The method of the request.',
    deviation: 'A transfer is always a POST.',
  }),
  HTTP_HOST: option<string | undefined>({
    name: 'HTTP_HOST',
    type: httpHost,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'The Host header; the connection goes to the route.',
  }),
  HTTP_Basic_Auth: option<{ readonly user: string; readonly password: string } | undefined>({
    name: 'HTTP_Basic_Auth',
    type: credentials,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'User name and password of the request, "user:password".',
    secret: true,
  }),
  Delivery_Response_Timeout: option({
    name: 'Delivery_Response_Timeout',
    type: wholeNumber(1, 600_000),
    unit: 'milliseconds',
    default: 10_000,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'How long to wait for the answer to a request; default 5000.',
    deviation:
      'Default 10000, as in the example of the XFER page; it bounds one try, and tries follow each other.',
  }),
  Host_Failure_Retry: option({
    name: 'Host_Failure_Retry',
    type: wholeNumber(0, 86_400),
    unit: 'seconds',
    default: 5,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'How long an address is left alone after a failure to connect; default 120.',
    deviation:
      'Default 5: nothing is spooled meanwhile, so mail waits at its MTA while every route is left alone.',
  }),
  Handoff_Deadline: option({
    name: 'Handoff_Deadline',
    type: wholeNumber(1, 270),
    unit: 'seconds',
    default: 120,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    deviation:
      'How long a message in doubt is repeated to the same receiver; MTAs wait 300 to 600 s for a reply.',
  }),
  Instance: option<string | undefined>({
    name: 'Instance',
    type: instanceName,
    default: undefined,
    scopes: ['global'],
    side: 'sending',
    deviation: 'Part of derived ids; the host name by default. Two sidecars that serve one MTA share it.',
  }),
  Teleport_Enabled: option({
    name: 'Teleport_Enabled',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'sending',
    momentum: 'Keeps the context of a message whose transfer failed for now.',
    withoutEffect: 'a message whose transfer fails stays with its MTA, so there is no context to keep',
  }),
};
