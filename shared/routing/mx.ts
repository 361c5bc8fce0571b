// The router of domains that the configuration says nothing about: RFC 5321 §5.1 alone.

import type { TlsDemand } from '../smtp/client.ts';
import { createRouter, type RouterOptions } from './create-router.ts';
import type { Router } from './router.ts';

export interface MxRouterOptions extends Omit<RouterOptions, 'routePolicy' | 'settingsFor' | 'usualPort'> {
  readonly port: number;
  readonly tls: TlsDemand;
}

export function createMxRouter({ port, tls, ...options }: MxRouterOptions): Router {
  const settings = { routes: [], port, skipHosts: [], tls };
  return createRouter({
    ...options,
    routePolicy: options.policy,
    settingsFor: () => settings,
    usualPort: port,
  });
}
