// Options on the TLS of deliveries: the receiving side.

import { DELIVERY_SCOPES, option } from './option.ts';
import { choice, filePath, flag } from './value-types.ts';

export const TLS_OPTIONS = {
  TLS: option({
    name: 'TLS',
    type: choice('no', 'ifavailable', 'required'),
    default: 'ifavailable' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Whether deliveries use STARTTLS; default no.',
    deviation: 'Default ifavailable.',
  }),
  TLS_Verify: option({
    name: 'TLS_Verify',
    type: choice('no', 'ca', 'host', 'optional'),
    default: 'no' as const,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum:
      'What a certificate must be: "no" (default) and "optional" take any, "ca" a trusted one, "host" a trusted one ' +
      'that names the mail host.',
    deviation:
      'It holds with TLS = "required". "ca" checks the name as well, since anybody has a trusted certificate for ' +
      'some name. Whether a certificate would have passed is logged in any case.',
  }),
  TLS_CA: option<string | undefined>({
    name: 'TLS_CA',
    type: filePath,
    default: undefined,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'A file of trusted certificates in PEM, for TLS_Verify.',
    deviation: 'Without it those of Node.js hold; with it they alone.',
    file: 'certificates',
  }),
  Enable_MTA_STS: option({
    name: 'Enable_MTA_STS',
    type: flag,
    default: true,
    scopes: DELIVERY_SCOPES,
    side: 'receiving',
    momentum: 'Whether the MTA-STS policies of destinations are kept; default true where Use_MTA_STS is.',
    deviation: 'Policies are fetched where it holds, without Use_MTA_STS.',
  }),
};
