// SDK clients for the embedded services. The credentials are placeholders: the emulators check none, and
// they listen on 127.0.0.1 only.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';

export const REGION = 'us-east-1';
const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };
/** Connections per client: deliveries run by the dozen, and long polls hold theirs. */
const MAX_SOCKETS = 200;

export interface EmulatorClients {
  readonly s3: S3Client;
  readonly sqs: SQSClient;
  readonly dynamodb: DynamoDBClient;
  destroy(): void;
}

export function emulatorClients(endpoints: {
  readonly s3Endpoint: string;
  readonly sqsEndpoint: string;
  readonly dynamodbEndpoint: string;
}): EmulatorClients {
  const common = {
    region: REGION,
    credentials: CREDENTIALS,
    requestHandler: { httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS } },
  };
  const s3 = new S3Client({
    ...common,
    endpoint: endpoints.s3Endpoint,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const sqs = new SQSClient({ ...common, endpoint: endpoints.sqsEndpoint, useQueueUrlAsEndpoint: false });
  const dynamodb = new DynamoDBClient({ ...common, endpoint: endpoints.dynamodbEndpoint });
  return {
    s3,
    sqs,
    dynamodb,
    destroy() {
      for (const client of [s3, sqs, dynamodb]) client.destroy();
    },
  };
}
