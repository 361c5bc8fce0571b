// The receive function, what it may do, and the secret that Basic credentials are kept in.

import { SecretValue } from 'aws-cdk-lib';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { RECEIVE_TIMEOUT_SECONDS } from '../../shared/aws/limits.ts';
import type { StackParameters } from '../parameters.ts';
import { MailFunction, type SharedProps } from './mail-function.ts';

/** A request is up to 6 MB of base64 and inflates: several copies of it, and CPU time comes with memory. */
const MEMORY_MB = 1_024;

/** The document that receive reads, with nobody in it: everybody is refused until an operator fills it. */
const NO_CREDENTIALS = '{"credentials":{}}';

export interface ReceiveProps {
  readonly shared: SharedProps;
  readonly authentication: StackParameters['authentication'];
  /** Our name in the Received header. */
  readonly traceHost: string;
  readonly reservedConcurrency: StackParameters['reservedConcurrency'];
}

export class Receive extends Construct {
  readonly function: LambdaFunction;
  readonly log: ILogGroup;
  /** With Basic only; filled by hand, see docs/aws.md. */
  readonly credentials: Secret | undefined;

  constructor(scope: Construct, id: string, props: ReceiveProps) {
    super(scope, id);
    const { shared, authentication, traceHost, reservedConcurrency } = props;
    const { stores, timers } = shared;
    this.credentials =
      authentication === 'basic'
        ? new Secret(this, 'Credentials', {
            description: 'Basic credentials of the senders',
            // CloudFormation writes this once, and never over what an operator put there since.
            secretStringValue: SecretValue.unsafePlainText(NO_CREDENTIALS),
          })
        : undefined;

    const receive = new MailFunction(this, 'Lambda', {
      shared,
      name: 'receive',
      description: 'Takes transfers over HTTP: spool, ledger, timers, then a verdict for each message.',
      timeoutSeconds: RECEIVE_TIMEOUT_SECONDS,
      memoryMb: MEMORY_MB,
      configured: true,
      environment: {
        TRACE_HOST: traceHost,
        AUTHENTICATION: authentication,
        ...(this.credentials === undefined ? {} : { CREDENTIALS_SECRET_ARN: this.credentials.secretArn }),
      },
      ...(reservedConcurrency === 'none' ? {} : { reservedConcurrency }),
    });
    this.function = receive.function;
    this.log = receive.log;

    receive.allow(['s3:PutObject', 's3:GetObject', 's3:DeleteObject'], [stores.bucket.arnForObjects('*')]);
    // Without this, S3 answers 403 where it means that an upload has not arrived (S3 API, GetObject).
    receive.allow(['s3:ListBucket'], [stores.bucket.bucketArn]);
    receive.allow(
      ['dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'],
      [stores.table.tableArn],
    );
    receive.allow(['sqs:SendMessage'], [timers.queue.queueArn]);
    if (this.credentials !== undefined) {
      receive.allow(['secretsmanager:GetSecretValue'], [this.credentials.secretArn]);
    }
  }
}
