// The one table of options: what each is called, takes and means, where it may stand and which side reads it.
// Names are Momentum's where Momentum has the option; `momentum` says what it means there, `deviation` where we
// differ on purpose. To add an option, add a row; the reader, the nearest-name advice and the checks follow.

import {
  anyText,
  choice,
  credentials,
  domainOrDisabled,
  flag,
  hostName,
  httpHost,
  instanceName,
  networks,
  rate,
  retryCount,
  routes,
  uriPath,
  type ValueType,
  wholeNumber,
} from './value-types.ts';

/** Where an assignment may stand. `listener` is a listener's stanza or a Listen stanza within one. */
export type Scope = 'global' | 'domain' | 'binding' | 'binding-domain' | 'listener' | 'scriptlet' | 'script';

export interface Option<T> {
  readonly name: string;
  readonly type: ValueType<T>;
  readonly unit?: 'seconds' | 'milliseconds' | 'connections' | 'messages';
  /** What holds when nothing is written; undefined where there is nothing to assume. */
  readonly default: T;
  readonly scopes: readonly Scope[];
  readonly side: 'sending' | 'receiving' | 'both';
  /** What it means there, with Momentum's default; undefined when the option is ours alone. */
  readonly momentum?: string;
  /** Where we differ. */
  readonly deviation?: string;
  /** Why it is read and then has no effect; undefined when it has its effect. */
  readonly withoutEffect?: string;
  /** The value is never shown. */
  readonly secret?: true;
}

const DELIVERY_SCOPES: readonly Scope[] = ['global', 'domain', 'binding', 'binding-domain'];
const DOMAIN_SCOPES: readonly Scope[] = ['global', 'domain'];

/** Expiry is at most 10 days: content lives 14. */
const MAX_EXPIRATION_SECONDS = 864_000;

export const OPTIONS = {
  // Which mail goes where: the sending side.
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
  Routes: option({
    name: 'Routes',
    type: routes,
    default: [],
    scopes: DELIVERY_SCOPES,
    side: 'both',
    momentum: 'Where mail of this domain goes instead of to its MX hosts.',
    deviation: 'A receiver does not follow smtp:// routes yet, and refuses to start with one.',
  }),

  // How a transfer is made: the sending side.
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
  Attempt_First: option({
    name: 'Attempt_First',
    type: flag,
    default: false,
    scopes: ['global', 'listener'],
    side: 'sending',
    deviation: 'Whether the sidecar tries SMTP itself before it hands over.',
    withoutEffect:
      'the sidecar does not attempt deliveries itself yet: what arrives has been attempted by its MTA',
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

  // Who may hand mail over.
  Relay_Hosts: option({
    name: 'Relay_Hosts',
    type: networks,
    default: [],
    scopes: ['global', 'listener'],
    side: 'both',
    momentum: 'The networks that may relay through this machine.',
    deviation: 'A listener outside the loopback interface does not start without it.',
  }),

  // How long mail is retried: the receiving side.
  Retry_Interval: option({
    name: 'Retry_Interval',
    type: wholeNumber(1, 86_400),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The wait after the first deferral, doubled after each further one; default 1200.',
    deviation: 'Default 300, since this mail was deferred before it came.',
  }),
  Max_Retry_Interval: option({
    name: 'Max_Retry_Interval',
    type: wholeNumber(1, 86_400),
    unit: 'seconds',
    default: 14_400,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The longest wait between two attempts; default 43200.',
    deviation: 'Default 14400. On a delay_xfer domain of the sending side it has no part: the MTA retries.',
  }),
  Max_Retries: option({
    name: 'Max_Retries',
    type: retryCount,
    default: 'none' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How many retries before a message fails: "auto" (default) derives it from Message_Expiration.',
    deviation: 'Default "none": expiry alone ends a message.',
  }),
  Message_Expiration: option({
    name: 'Message_Expiration',
    type: wholeNumber(60, MAX_EXPIRATION_SECONDS),
    unit: 'seconds',
    default: 432_000,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long a message may stay undelivered; default 604800.',
    deviation: 'Default 432000, at most 864000; it counts from when the sending side first took the message.',
  }),

  // How mail is delivered: the receiving side.
  EHLO_Hostname: option<string | undefined>({
    name: 'EHLO_Hostname',
    type: hostName,
    default: undefined,
    scopes: ['global', 'domain', 'binding', 'binding-domain', 'listener'],
    side: 'both',
    momentum: 'The name said in EHLO; the host name by default.',
  }),
  Remote_SMTP_Port: option({
    name: 'Remote_SMTP_Port',
    type: wholeNumber(1, 65_535),
    default: 25,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The port of MX hosts; default 25.',
  }),
  Max_Outbound_Connections: option({
    name: 'Max_Outbound_Connections',
    type: wholeNumber(1, 100_000),
    unit: 'connections',
    default: 32,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The most connections to one domain; default 32.',
    deviation: 'Domains whose MX hosts are the same share them.',
  }),
  Max_Deliveries_Per_Connection: option({
    name: 'Max_Deliveries_Per_Connection',
    type: wholeNumber(0, 1_000_000),
    unit: 'messages',
    default: 0,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The most messages over one connection; 0 (default) is no limit.',
  }),
  TLS: option({
    name: 'TLS',
    type: choice('no', 'ifavailable', 'required'),
    default: 'ifavailable' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Whether deliveries use STARTTLS; default no.',
    deviation: 'Default ifavailable.',
  }),
  Connect_Timeout: option({
    name: 'Connect_Timeout',
    type: wholeNumber(1, 600),
    unit: 'seconds',
    default: 30,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long a connection may take to open.',
    deviation: 'Connection, greeting, EHLO and TLS together have 60 s at most.',
  }),
  Bare_Newlines: option({
    name: 'Bare_Newlines',
    type: choice('refuse', 'convert'),
    default: 'refuse' as const,
    scopes: ['global'],
    side: 'receiving',
    deviation:
      'Content that mixes bare CR or LF with CRLF is refused, or converted, which breaks signatures.',
  }),
  Outbound_Throttle_Messages: option<{ readonly messages: number; readonly overSeconds: number } | undefined>(
    {
      name: 'Outbound_Throttle_Messages',
      type: rate,
      default: undefined,
      scopes: DELIVERY_SCOPES,
      side: 'receiving',
      momentum: 'The most messages over a number of seconds, "100/60".',
      withoutEffect: 'rates are not limited yet; connections are, by Max_Outbound_Connections',
    },
  ),

  // Scripts.
  source: option<string | undefined>({
    name: 'source',
    type: anyText,
    default: undefined,
    scopes: ['script'],
    side: 'both',
    momentum: 'The module that a script loads.',
  }),
};

/** Every option by its lower-case name. */
export const OPTIONS_BY_NAME: ReadonlyMap<string, Option<unknown>> = new Map(
  Object.values<Option<unknown>>(OPTIONS).map((row) => [row.name.toLowerCase(), row]),
);

function option<T>(row: Option<T>): Option<T> {
  return row;
}
