// The deliver function: woken by timers in batches, it sends mail by SMTP from the network's fixed address.

import { Duration } from 'aws-cdk-lib';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import {
  DELIVER_BATCH_SIZE,
  DELIVER_BATCH_WINDOW_SECONDS,
  DELIVER_TIMEOUT_SECONDS,
} from '../../shared/aws/limits.ts';
import { MailFunction, type SharedProps } from './mail-function.ts';
import type { Network } from './network.ts';

/** Dozens of dialogues at once, each with its message in memory. */
const MEMORY_MB = 1_024;

export interface DeliverProps {
  readonly shared: SharedProps;
  readonly network: Network | undefined;
  readonly ehloHostname: string;
  /** Our name in the Received header of reports, as receive has it in that of other mail. */
  readonly traceHost: string;
  readonly maximumConcurrency: number;
}

export class Deliver extends Construct {
  readonly log: ILogGroup;

  constructor(scope: Construct, id: string, props: DeliverProps) {
    super(scope, id);
    const { shared, network } = props;
    const { stores, timers } = shared;
    const deliver = new MailFunction(this, 'Lambda', {
      shared,
      name: 'deliver',
      description:
        'Wakes on timers, leases deliveries, sends them by SMTP and settles what the servers said.',
      timeoutSeconds: DELIVER_TIMEOUT_SECONDS,
      memoryMb: MEMORY_MB,
      wakesDeliver: true,
      configured: true,
      environment: { EHLO_HOSTNAME: props.ehloHostname, TRACE_HOST: props.traceHost },
      ...(network === undefined ? {} : { vpc: network.vpc }),
    });
    this.log = deliver.log;

    // Reports to senders are put and looked up as receive does it with transfers.
    deliver.allow(['s3:PutObject', 's3:GetObject', 's3:DeleteObject'], [stores.bucket.arnForObjects('*')]);
    // Without this, S3 answers 403 where it means that content is missing (S3 API, GetObject).
    deliver.allow(['s3:ListBucket'], [stores.bucket.bucketArn]);
    deliver.allow(
      [
        'dynamodb:GetItem',
        'dynamodb:Query',
        'dynamodb:PutItem',
        'dynamodb:UpdateItem',
        'dynamodb:DeleteItem',
      ],
      [stores.table.tableArn],
    );
    deliver.allow(
      [
        'sqs:ReceiveMessage',
        'sqs:DeleteMessage',
        'sqs:ChangeMessageVisibility',
        'sqs:GetQueueAttributes',
        'sqs:SendMessage',
      ],
      [timers.queue.queueArn],
    );

    // Not SqsEventSource, which would grant more than the above.
    deliver.function.addEventSourceMapping('Timers', {
      eventSourceArn: timers.queue.queueArn,
      batchSize: DELIVER_BATCH_SIZE,
      maxBatchingWindow: Duration.seconds(DELIVER_BATCH_WINDOW_SECONDS),
      reportBatchItemFailures: true,
      maxConcurrency: props.maximumConcurrency,
    });
  }
}
