// From what a configuration says of a domain to what its route needs.

import type { DeliverySettings } from '../config/delivery-settings.ts';
import type { RouteSettings } from './create-router.ts';

/**
 * `certificates`: the text of every TLS_CA file by its path, as `namedFiles` lists them; throws when one is
 * missing, since mail must not rest on other authorities than it was told to.
 */
export function routeSettings(
  settings: DeliverySettings,
  certificates: ReadonlyMap<string, string>,
): RouteSettings {
  const port = settings.deliveryMethod === 'lmtp' ? settings.lmtpPort : settings.remoteSmtpPort;
  const { routes, skipHosts, prohibitedHosts, tls: mode, tlsVerify, tlsCa } = settings;
  const { tlsVersions: versions, tlsCiphers: ciphers, tlsFallsBack: fallsBack } = settings;
  const ca = tlsCa === undefined ? undefined : certificates.get(tlsCa);
  if (tlsCa !== undefined && ca === undefined) throw new Error(`${tlsCa} was not read`);
  const verify = mode === 'required' && (tlsVerify === 'host' || tlsVerify === 'ca');
  return {
    routes,
    port,
    skipHosts,
    prohibitedHosts,
    tls: {
      mode,
      verify,
      ...(ca === undefined ? {} : { ca }),
      ...(versions === undefined ? {} : { versions }),
      ...(ciphers === undefined ? {} : { ciphers }),
      ...(fallsBack ? {} : { fallsBack }),
    },
    ...(settings.ehloHostname === undefined ? {} : { ownName: settings.ehloHostname }),
  };
}
