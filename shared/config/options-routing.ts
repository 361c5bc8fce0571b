// Options that say where deliveries go, and where never: the receiving side, and attempts of the sidecar's own.

import { DELIVERY_SCOPES, DOMAIN_SCOPES, option } from './option.ts';
import type { SmtpRoute } from './routes.ts';
import { flag, wholeNumber } from './value-types.ts';
import { blackhole } from './value-types-mail.ts';
import { gateway, hostName, networks, routes, sourceAddress } from './value-types-network.ts';

export const ROUTING_OPTIONS = {
  Routes: option({
    name: 'Routes',
    type: routes,
    default: [],
    scopes: DELIVERY_SCOPES,
    side: 'both',
    attempt: true,
    meaning:
      'Where mail of this domain goes instead of to its MX hosts; "__mx__" stands for those. Tried as listed, or by ' +
      'pref. xfer:// routes are for Delivery_Method = "delay_xfer" alone, smtp:// routes for all other domains.',
    momentum: 'none',
    deviation: 'It may stand in a Binding as well. `ttl` is read, and DNS decides.',
  }),
  Gateway: option<SmtpRoute | undefined>({
    name: 'Gateway',
    type: gateway,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'One smarthost that all mail goes to; Routes in the same place count before it.',
    momentum: 'none',
  }),
  Remote_SMTP_Port: option({
    name: 'Remote_SMTP_Port',
    type: wholeNumber(1, 65_535),
    default: 25,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'The port of MX hosts, and of routes that name none.',
    momentum: '25',
  }),
  LMTP_Port: option({
    name: 'LMTP_Port',
    type: wholeNumber(1, 65_535),
    default: 2003,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'The port of MX hosts, and of routes that name none, where Delivery_Method is "lmtp".',
    momentum: '2003',
  }),
  Skip_Hosts: option({
    name: 'Skip_Hosts',
    type: networks,
    default: [],
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    attempt: true,
    meaning: 'Addresses and networks that mail is never sent to; other addresses of the domain are tried.',
    momentum: 'none',
    deviation: 'It may stand in a Domain or Binding as well.',
  }),
  Prohibited_Hosts: option({
    name: 'Prohibited_Hosts',
    type: networks,
    default: [],
    scopes: ['global'],
    side: 'receiving',
    attempt: true,
    meaning:
      'Addresses and networks that mail is never sent to; a domain whose mail hosts lead to one fails at once, ' +
      '550 5.4.4. Of hosts that Routes name they are left out.',
    momentum: 'none',
    deviation:
      'Loopback, private, link-local and metadata addresses are refused to the DNS of strangers in any case.',
  }),
  MX_Failures_To_Delay: option({
    name: 'MX_Failures_To_Delay',
    type: wholeNumber(0, 1_000_000),
    default: 50,
    scopes: DOMAIN_SCOPES,
    side: 'receiving',
    meaning:
      'After so many failures in a row to reach any mail host of a domain, its waiting mail is put off; 0 never.',
    momentum: '50',
    withoutEffect: 'each message finds out by itself whether a mail host answers',
  }),
  Rollup_MX: option({
    name: 'Rollup_MX',
    type: flag,
    default: true,
    scopes: ['global', 'domain', 'host'],
    side: 'receiving',
    meaning: 'Domains whose mail hosts are the same share sessions and limits.',
    momentum: 'false, in Host stanzas',
    deviation: 'The hosts of a domain tell by themselves which domains belong together.',
    withoutEffect: 'domains whose mail hosts are the same always share sessions and limits',
  }),
  Rollup_MX_Name: option<string | undefined>({
    name: 'Rollup_MX_Name',
    type: hostName,
    default: undefined,
    scopes: ['host'],
    side: 'receiving',
    meaning: 'The domain under whose limits mail for this host goes.',
    momentum: 'none',
    withoutEffect: 'limits hold for the set of mail hosts that a domain has, under a name of its own',
  }),
  Bind_Address: option<string | undefined>({
    name: 'Bind_Address',
    type: sourceAddress,
    default: undefined,
    defaultText: 'any',
    scopes: ['global', 'binding'],
    side: 'receiving',
    attempt: true,
    meaning:
      'The address that connections leave from; "*" lets the system choose. Hosts of the other family are not tried.',
    deviation: 'On AWS connections leave by the NAT gateway, under its address.',
    momentum: '*',
  }),
  Suspend_Delivery: option({
    name: 'Suspend_Delivery',
    type: flag,
    default: false,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning:
      'Nothing is attempted; mail waits until it is taken away or the mail expires. It is looked at again each ' +
      'Retry_Interval or two.',
    momentum: 'false',
  }),
  Blackhole: option({
    name: 'Blackhole',
    type: blackhole,
    default: 'false' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    meaning:
      'Mail fails without an attempt, 554 5.7.1, with a bounce where Generate_Bounces holds. "true" is "inline".',
    momentum: 'false',
    deviation: '"inline" is what "internal" is: mail is taken first, so that nothing waits at its sender.',
  }),
};
