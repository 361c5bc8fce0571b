// Puts an attempt's parts together out of a configuration: destinations as the deliver function has them, with what
// is known of them in this process alone, beyond this configuration.

import { readFileSync } from 'node:fs';
import type { Configuration } from '../../shared/config/configuration.ts';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { evaluate } from '../../shared/config/evaluate.ts';
import { namedFiles } from '../../shared/config/named-files.ts';
import { OPTIONS } from '../../shared/config/options.ts';
import { createDestinations, type DestinationSettings } from '../../shared/routing/destinations.ts';
import { type Clock, sleep } from '../clock.ts';
import type { Log } from '../log.ts';
import { type AttemptFirst, createAttemptFirst } from './attempt-first.ts';
import { createAttempter } from './attempter.ts';
import type { AttemptMemory } from './memory.ts';

/** What no option says. */
export type DestinationTuning = Partial<
  Pick<DestinationSettings, 'dnsServers' | 'allowedNetworks' | 'smtpPort' | 'policyHosts'>
>;

export interface AttemptWorld {
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  readonly attempts: AttemptMemory;
  readonly destinations?: DestinationTuning;
}

export interface Attempts extends AttemptFirst {
  /** Ends the sessions that wait for mail. */
  close(): Promise<void>;
}

/** Opens nothing. `hostName` is said in EHLO where the configuration names nothing nearer. */
export function createAttempts(
  configuration: Configuration,
  hostName: string,
  world: AttemptWorld,
): Attempts {
  const { clock, log, random, attempts } = world;
  const reached = createDestinations(
    {
      ehloName: hostName,
      settingsFor: (domain) => deliverySettings(configuration, domain === undefined ? {} : { domain }),
      allowedNetworks: [],
      named: authorities(configuration),
      ...world.destinations,
    },
    {
      clock: { nowMs: clock.nowMs, pause: (ms) => sleep(clock, ms) },
      random,
      policies: attempts.policies,
      onStoreFailure: () => {},
      onPolicyFailure: (domain, { because }) =>
        log.notice({
          level: 'warn',
          code: 'policy-failed',
          message: `the MTA-STS policy of ${domain} could not be fetched: ${because}`,
        }),
    },
  );
  const maxSessions = evaluate(configuration, OPTIONS.Server_Max_Outbound_Connections);
  const { pool } = attempts;
  const attempter = createAttempter({ destinations: reached, pool, maxSessions, hostName, clock });
  return { ...createAttemptFirst({ attempter, memory: attempts, clock, log }), close: attempter.close };
}

/** The text of every TLS_CA file, which whoever read the configuration has found readable. */
function authorities(configuration: Configuration): ReadonlyMap<string, string> {
  return new Map(
    namedFiles(configuration)
      .filter(({ option }) => option.name === OPTIONS.TLS_CA.name)
      .map(({ path }) => [path, readFileSync(path, 'utf8')]),
  );
}
