// An alarm that is raised by anything above zero and ends by itself, with a heading of the runbook to read.
// It has no action: who is told of an alarm is the operator's choice, as docs/aws.md says.

import { Alarm, ComparisonOperator, type Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { runbook } from '../runbook.ts';

export interface AboveZeroProps {
  /** A heading of docs/aws.md, as a short statement. */
  readonly fault: string;
  /** Its period is how soon the alarm is raised, and how long it stays. */
  readonly metric: Metric;
  /** Of the last `periods`, this many must be above zero; both 1 unless given. */
  readonly patience?: { readonly above: number; readonly periods: number };
}

export function alarmAboveZero(scope: Construct, id: string, props: AboveZeroProps): Alarm {
  const { above, periods } = props.patience ?? { above: 1, periods: 1 };
  return new Alarm(scope, id, {
    alarmDescription: runbook(props.fault),
    metric: props.metric,
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    threshold: 0,
    evaluationPeriods: periods,
    datapointsToAlarm: above,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
