// Entry point of the receive function: reads the environment, makes the clients, exports the handler.

import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { parseCredentials } from '../../shared/access/credentials.ts';
import { createPasswordVerifier } from '../../shared/access/password.ts';
import { required } from '../../shared/aws/environment.ts';
import { QUEUE_LIMITS } from '../../shared/aws/queue-limits.ts';
import { createClients, createStores } from '../../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../../shared/aws/system.ts';
import { settingsByDomain } from '../../shared/config/delivery-settings.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { termsByDomain } from '../../shared/queue/terms.ts';
import { createJsonLog } from '../../shared/records/json-lines.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import { deployedConfiguration } from '../configuration.ts';
import { type Authentication, createReceiveHandler } from './handler.ts';

const environment = required(process.env, [
  'TABLE_NAME',
  'SPOOL_BUCKET',
  'TIMERS_QUEUE_URL',
  'TRACE_HOST',
  'AUTHENTICATION',
]);

const names = {
  table: environment('TABLE_NAME'),
  bucket: environment('SPOOL_BUCKET'),
  queueUrl: environment('TIMERS_QUEUE_URL'),
};

const settingsFor = settingsByDomain(deployedConfiguration(process.env).configuration);
const tempo = DEFAULT_TEMPO;

export const handler = createReceiveHandler({
  ...createStores(createClients(), names, { clock: systemClock, tempo }),
  authentication: await readAuthentication(environment('AUTHENTICATION')),
  bareNewlines: settingsFor().bareNewlines,
  clock: systemClock,
  limits: QUEUE_LIMITS,
  log: createJsonLog((line) => process.stdout.write(line), Date.now),
  random: systemRandom,
  tempo,
  termsFor: termsByDomain({ settingsFor, reportingMta: environment('TRACE_HOST') }),
  traceHost: environment('TRACE_HOST'),
  transferLimits: DEFAULT_LIMITS,
});

// The secret is read once per container: a changed password is known everywhere when the containers are new.
async function readAuthentication(kind: string): Promise<Authentication> {
  if (kind === 'iam') return { kind: 'iam' };
  if (kind !== 'basic') throw new Error(`AUTHENTICATION must be iam or basic, not ${kind}`);
  const secretArn = required(process.env, ['CREDENTIALS_SECRET_ARN'])('CREDENTIALS_SECRET_ARN');
  const client = new SecretsManagerClient({});
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretArn }));
  const credentials = parseCredentials(SecretString ?? '');
  if (!credentials.ok) throw new Error(credentials.fault);
  return { kind: 'basic', verifier: createPasswordVerifier(credentials.hashes) };
}
