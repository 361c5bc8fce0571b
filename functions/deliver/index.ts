// Entry point of the deliver function: reads the environment, makes the clients, exports the handler.

import { required } from '../../shared/aws/environment.ts';
import { LEASE_MARGIN_SECONDS, RESEND_RECEIVE_COUNT } from '../../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import {
  createClients,
  createDestinationStores,
  createStores,
  SETTLE_LEDGER_TIMEOUT_MS,
} from '../../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { connectionsByHost, settingsByDomain } from '../../shared/config/delivery-settings.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { termsByDomain } from '../../shared/queue/terms.ts';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import { deployedConfiguration, replyClassifier } from '../configuration.ts';
import { createEgress, sharingFailed } from './egress.ts';
import { createDeliverHandler } from './handler.ts';

const environment = required(process.env, [
  'TABLE_NAME',
  'SPOOL_BUCKET',
  'TIMERS_QUEUE_URL',
  'EHLO_HOSTNAME',
  'TRACE_HOST',
]);

const names = {
  table: environment('TABLE_NAME'),
  bucket: environment('SPOOL_BUCKET'),
  queueUrl: environment('TIMERS_QUEUE_URL'),
};
const { configuration, named } = deployedConfiguration(process.env);
const settingsFor = settingsByDomain(configuration);
const settings = settingsFor();
const tempo = DEFAULT_TEMPO;
const ehloName = settings.ehloHostname ?? environment('EHLO_HOSTNAME');
const clients = createClients({}, SETTLE_LEDGER_TIMEOUT_MS);
const log = createJsonLog((line) => process.stdout.write(line), Date.now, {
  classify: replyClassifier(settings, named),
});
const world = { clock: systemClock, random: systemRandom, log };
const list = (text: string | undefined) => (text ?? '').split(',').flatMap((part) => part.trim() || []);
const dnsServers = list(process.env['DNS_SERVERS']);

export const handler = createDeliverHandler({
  ...createStores(clients, names, { clock: systemClock, tempo }),
  ...createEgress(
    {
      ehloName,
      bindsAddress: false,
      settingsFor,
      connectionsTo: connectionsByHost(configuration),
      named,
      allowedNetworks: list(process.env['ALLOWED_NETWORKS']),
      ...(dnsServers.length === 0 ? {} : { dnsServers }),
    },
    {
      ...world,
      ...createDestinationStores(clients, names, {
        clock: systemClock,
        onFailure: (error) => log.notice(sharingFailed(error)),
      }),
    },
  ),
  ...world,
  leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
  limits: QUEUE_LIMITS,
  // A report that comes back is known by the same trace as any other mail of ours.
  termsFor: termsByDomain({ settingsFor, reportingMta: environment('TRACE_HOST') }),
  resendReceiveCount: RESEND_RECEIVE_COUNT,
  tempo,
});
