// Options that say how sessions are led, how many there are and how long a peer may take: the receiving side, and
// attempts of the sidecar's own.

import { DELIVERY_SCOPES, option } from './option.ts';
import { choice, wholeNumber } from './value-types.ts';
import { type Rate, rate } from './value-types-mail.ts';
import { hostName } from './value-types-network.ts';

/** The longest that RFC 5321 §4.5.3.2 asks for; an invocation has 900 s for everything. */
const MAX_TIMEOUT_SECONDS = 600;

export const DELIVERY_OPTIONS = {
  EHLO_Hostname: option<string | undefined>({
    name: 'EHLO_Hostname',
    type: hostName,
    default: undefined,
    defaultText: 'the host name',
    scopes: [...DELIVERY_SCOPES, 'listener'],
    side: 'both',
    attempt: true,
    meaning: 'The name said in EHLO, and in the greeting of a listener.',
    momentum: 'the host name',
  }),

  // How much at once.
  Max_Outbound_Connections: option({
    name: 'Max_Outbound_Connections',
    type: wholeNumber(1, 100_000),
    unit: 'connections',
    default: 32,
    scopes: [...DELIVERY_SCOPES, 'host'],
    side: 'receiving',
    attempt: true,
    meaning: 'The most connections to one domain at once; in a Host stanza, to that mail host.',
    momentum: '32',
    deviation: 'Domains whose mail hosts are the same share them.',
  }),
  Server_Max_Outbound_Connections: option({
    name: 'Server_Max_Outbound_Connections',
    type: wholeNumber(1, 1_000_000),
    unit: 'connections',
    default: 20_000,
    scopes: ['global', 'binding'],
    side: 'receiving',
    meaning: 'The most connections in all at once; in a Binding, over that binding.',
    momentum: '75000; 20000 in its default file',
    attempt: true,
    withoutEffect: { receiving: 'connections are not limited in all yet' },
  }),
  Max_Deliveries_Per_Connection: option({
    name: 'Max_Deliveries_Per_Connection',
    type: wholeNumber(0, 1_000_000),
    unit: 'messages',
    default: 0,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'The most messages over one connection; 0 is no limit.',
    momentum: '0',
  }),
  Max_Recipients_Per_Connection: option({
    name: 'Max_Recipients_Per_Connection',
    type: wholeNumber(0, 1_000_000),
    unit: 'recipients',
    default: 0,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The most RCPT commands over one connection; 0 is no limit.',
    momentum: '0',
  }),
  Max_Recipients_Per_Batch: option({
    name: 'Max_Recipients_Per_Batch',
    type: wholeNumber(1, 1_000_000),
    unit: 'recipients',
    default: 100,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'The most recipients in one transaction.',
    momentum: '100',
    deviation: 'A delivery has 50 recipients at most, so more than 50 changes nothing.',
  }),
  Outbound_Throttle_Messages: option<Rate | undefined>({
    name: 'Outbound_Throttle_Messages',
    type: rate,
    default: undefined,
    scopes: [...DELIVERY_SCOPES, 'host'],
    side: 'receiving',
    meaning: 'The most messages over a number of seconds, "100/60"; 0 is no limit.',
    momentum: 'none',
    withoutEffect: 'rates are not limited yet; connections are, by Max_Outbound_Connections',
  }),
  Outbound_Throttle_Connections: option<Rate | undefined>({
    name: 'Outbound_Throttle_Connections',
    type: rate,
    default: undefined,
    scopes: [...DELIVERY_SCOPES, 'host'],
    side: 'receiving',
    meaning: 'The most new connections over a number of seconds, "1/60"; 0 is no limit.',
    momentum: 'none',
    withoutEffect: 'rates are not limited yet; connections are, by Max_Outbound_Connections',
  }),
  Idle_Timeout: option({
    name: 'Idle_Timeout',
    type: wholeNumber(0, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 5,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning: 'How long a session without mail is kept open for the next message.',
    momentum: '5',
    attempt: true,
    withoutEffect: { receiving: 'a session ends when its invocation has no more mail for the site' },
  }),

  // How long a peer may take (RFC 5321 §4.5.3.2).
  Connect_Timeout: option({
    name: 'Connect_Timeout',
    type: wholeNumber(1, 600),
    unit: 'seconds',
    default: 30,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long a connection may take to open.',
    momentum: '300',
    deviation: 'A function waits at a price. Connection, greeting, EHLO and TLS together have 60 s at most.',
  }),
  EHLO_Timeout: option({
    name: 'EHLO_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long the reply to EHLO may take.',
    momentum: '300',
    deviation: 'Connection, greeting, EHLO and TLS together have 60 s at most.',
  }),
  Mailfrom_Timeout: option({
    name: 'Mailfrom_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long the reply to MAIL may take.',
    momentum: '300',
  }),
  Rcptto_Timeout: option({
    name: 'Rcptto_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 300,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long the reply to a RCPT may take.',
    momentum: '300',
  }),
  Body_Timeout: option({
    name: 'Body_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 600,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long the reply to the final dot may take.',
    momentum: '600',
  }),
  RSET_Timeout: option({
    name: 'RSET_Timeout',
    type: wholeNumber(1, MAX_TIMEOUT_SECONDS),
    unit: 'seconds',
    default: 30,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'How long the reply to RSET may take.',
    momentum: '30',
  }),

  // What may be done to content.
  Bare_Newlines: option({
    name: 'Bare_Newlines',
    type: choice('refuse', 'convert'),
    default: 'refuse' as const,
    scopes: ['global'],
    side: 'both',
    meaning:
      'Content that mixes bare CR or LF with CRLF is refused, or made whole, which breaks signatures. The sidecar ' +
      'refuses it, or leaves it to the receiver.',
  }),
  Eight_Bit_Mail: option({
    name: 'Eight_Bit_Mail',
    type: choice('refuse', 'convert'),
    default: 'refuse' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning:
      '8-bit content for a peer without 8BITMIME fails (5.6.3), or becomes quoted-printable or base64, which breaks ' +
      'DKIM signatures; what cannot be converted rightly (8-bit header fields, signed parts) fails all the same. ' +
      "Momentum's Transform_8BitMime_Content strips the eighth bit by default.",
  }),
};
