// The project's SDK clients, pointed at the embedded services. The credentials are placeholders: the emulators
// check none, and they listen on 127.0.0.1 only.

import { type ClientOverrides, type Clients, createClients } from '../shared/aws/stores.ts';

export const REGION = 'us-east-1';

export interface ServiceEndpoints {
  readonly s3Endpoint: string;
  readonly sqsEndpoint: string;
  readonly dynamodbEndpoint: string;
}

export interface EmulatorClients extends Clients {
  destroy(): void;
}

export function emulatorClients(endpoints: ServiceEndpoints, ledgerTimeoutMs?: number): EmulatorClients {
  const clients = createClients(emulatorOverrides(endpoints), ledgerTimeoutMs);
  return {
    ...clients,
    destroy() {
      for (const client of [clients.s3, clients.sqs, clients.dynamodb]) client.destroy();
    },
  };
}

function emulatorOverrides(endpoints: ServiceEndpoints): ClientOverrides {
  const common = { region: REGION, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  return {
    s3: { ...common, endpoint: endpoints.s3Endpoint, forcePathStyle: true },
    // Queue URLs carry the port of the run that created the queue.
    sqs: { ...common, endpoint: endpoints.sqsEndpoint, useQueueUrlAsEndpoint: false },
    dynamodb: { ...common, endpoint: endpoints.dynamodbEndpoint },
  };
}
