// Options that say how mail is delivered: the receiving side. TLS has a table of its own, options-tls.ts.

import { DELIVERY_SCOPES, option } from './option.ts';
import { choice, hostName, networks, rate, routes, wholeNumber } from './value-types.ts';

/** The longest that RFC 5321 §4.5.3.2 asks for; an invocation has 900 s for everything. */
const MAX_TIMEOUT_SECONDS = 600;

export const DELIVERY_OPTIONS = {
  // Where mail goes.
  Routes: option({
    name: 'Routes',
    type: routes,
    default: [],
    scopes: DELIVERY_SCOPES,
    side: 'both',
    momentum:
      'Where mail of this domain goes instead of to its MX hosts; "__mx__" stands for those. Tried as listed, or by pref.',
    deviation:
      "A receiver passes over xfer:// routes, which are the sending side's; ttl is read, and DNS decides.",
  }),
  Remote_SMTP_Port: option({
    name: 'Remote_SMTP_Port',
    type: wholeNumber(1, 65_535),
    default: 25,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'The port of MX hosts, and of routes that name none; default 25.',
  }),
  Skip_Hosts: option({
    name: 'Skip_Hosts',
    type: networks,
    default: [],
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Addresses and networks that mail is never sent to; other addresses of the domain are tried.',
    deviation: 'It may stand in a Domain as well.',
  }),

  // How a session is led.
  EHLO_Hostname: option<string | undefined>({
    name: 'EHLO_Hostname',
    type: hostName,
    default: undefined,
    scopes: ['global', 'domain', 'binding', 'binding-domain', 'listener'],
    side: 'both',
    momentum: 'The name said in EHLO; the host name by default.',
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
  Idle_Timeout: option({
    name: 'Idle_Timeout',
    type: wholeNumber(0, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 5,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long a session without mail is kept open for the next message; default 5.',
    withoutEffect: 'a session ends when its invocation has no more mail for the site',
  }),

  // How long a peer may take (RFC 5321 §4.5.3.2).
  Connect_Timeout: option({
    name: 'Connect_Timeout',
    type: wholeNumber(1, 600),
    unit: 'seconds',
    default: 30,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long a connection may take to open; default 300.',
    deviation: 'Default 30. Connection, greeting, EHLO and TLS together have 60 s at most.',
  }),
  EHLO_Timeout: option({
    name: 'EHLO_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long the reply to EHLO may take; default 300.',
    deviation: 'Connection, greeting, EHLO and TLS together have 60 s at most.',
  }),
  Mailfrom_Timeout: option({
    name: 'Mailfrom_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long the reply to MAIL may take; default 300.',
  }),
  Rcptto_Timeout: option({
    name: 'Rcptto_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long the reply to a RCPT may take; default 300.',
  }),
  Body_Timeout: option({
    name: 'Body_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 600,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long the reply to the final dot may take; default 600.',
  }),
  RSET_Timeout: option({
    name: 'RSET_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 30,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'How long the reply to RSET may take; default 30.',
  }),

  // What may be done to content.
  Bare_Newlines: option({
    name: 'Bare_Newlines',
    type: choice('refuse', 'convert'),
    default: 'refuse' as const,
    scopes: ['global'],
    side: 'receiving',
    deviation:
      'Content that mixes bare CR or LF with CRLF is refused, or converted, which breaks signatures.',
  }),
  Eight_Bit_Mail: option({
    name: 'Eight_Bit_Mail',
    type: choice('refuse', 'convert'),
    default: 'refuse' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    deviation:
      '8-bit content for a peer without 8BITMIME fails (5.6.3), or is encoded anew, which breaks signatures; ' +
      "Momentum's Transform_8BitMime_Content strips the eighth bit by default.",
  }),
};
