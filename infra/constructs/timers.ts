// The timers queue, its dead-letter queue, and the alarm for the latter. Neither queue is kept when the stack
// is deleted: the ledger alone is enough to rebuild every timer (I5).

import { Duration } from 'aws-cdk-lib';
import { Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import {
  QUEUE_VISIBILITY_SECONDS,
  SQS_MAX_RECEIVE_COUNT,
  SQS_MAX_RETENTION_SECONDS,
} from '../../shared/aws/limits.ts';
import { alarmAboveZero } from './alarm.ts';

export class Timers extends Construct {
  readonly queue: Queue;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const common = {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.seconds(SQS_MAX_RETENTION_SECONDS),
    };
    const deadLetters = new Queue(this, 'DeadLetters', common);
    this.queue = new Queue(this, 'Queue', {
      ...common,
      visibilityTimeout: Duration.seconds(QUEUE_VISIBILITY_SECONDS),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: SQS_MAX_RECEIVE_COUNT },
    });

    alarmAboveZero(this, 'DeadLettersNotEmpty', {
      fault: 'a timer is in the dead-letter queue',
      metric: deadLetters.metricApproximateNumberOfMessagesVisible({
        period: Duration.minutes(1),
        statistic: Stats.MAXIMUM,
      }),
    });
  }
}
