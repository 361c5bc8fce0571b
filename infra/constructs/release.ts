// The release function and its clock: every minute it sends the timers of parked deliveries that come due and
// of stragglers. A run that fails is not repeated: the next minute's run continues at the cursor.

import { Duration } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { RELEASE_TIMEOUT_SECONDS } from '../../shared/aws/limits.ts';
import { INDEXES } from '../../shared/aws/table.ts';
import type { StackParameters } from '../parameters.ts';
import { MailFunction, type SharedProps } from './mail-function.ts';

const MEMORY_MB = 512;
const PERIOD = Duration.minutes(1);

export interface ReleaseProps {
  readonly shared: SharedProps;
  /** `none`: the account has nothing to set aside, and a run that is slow is overlapped by the next. */
  readonly reservedConcurrency: StackParameters['reservedConcurrency'];
}

export class Release extends Construct {
  readonly log: ILogGroup;

  constructor(scope: Construct, id: string, { shared, reservedConcurrency }: ReleaseProps) {
    super(scope, id);
    const { stores, timers } = shared;
    const release = new MailFunction(this, 'Lambda', {
      shared,
      name: 'release',
      description:
        'Every minute: timers for parked deliveries that come due, and for those whose timer was lost.',
      timeoutSeconds: RELEASE_TIMEOUT_SECONDS,
      memoryMb: MEMORY_MB,
      environment: {},
      wakesDeliver: true,
      // Runs never overlap: a minute that finds one under way is dropped, or waits for less than a minute.
      ...(reservedConcurrency === 'none' ? {} : { reservedConcurrency: 1 }),
    });
    this.log = release.log;

    release.allow(['s3:DeleteObject'], [stores.bucket.arnForObjects('*')]);
    release.allow(
      ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'],
      [stores.table.tableArn],
    );
    const [byDue] = INDEXES;
    // The scan is for a run that is far behind: it finds the buckets that hold anything.
    release.allow(['dynamodb:Query', 'dynamodb:Scan'], [`${stores.table.tableArn}/index/${byDue.name}`]);
    release.allow(['sqs:SendMessage', 'sqs:GetQueueAttributes'], [timers.queue.queueArn]);

    // Neither Lambda nor EventBridge repeats a run: they would pile up behind one that is slow.
    release.function.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: PERIOD });
    new Rule(this, 'EveryMinute', {
      description: 'Wakes release',
      schedule: Schedule.rate(PERIOD),
      targets: [new LambdaTarget(release.function, { retryAttempts: 0, maxEventAge: PERIOD })],
    });
  }
}
