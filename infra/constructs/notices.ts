// What the functions write into their logs for an operator (`Notice` of shared/records), as metrics and alarms:
// anything of level error, and a release that stays behind. A notice is a line of JSON, which CloudWatch's
// filters read as it is; lines of Lambda's own are text, which never match.

import { Duration, Stack } from 'aws-cdk-lib';
import { Metric, Stats, Unit } from 'aws-cdk-lib/aws-cloudwatch';
import { FilterPattern, type IFilterPattern, type ILogGroup, MetricFilter } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { NoticeCode } from '../../shared/records/records.ts';
import { alarmAboveZero } from './alarm.ts';

const PERIOD = Duration.minutes(5);

/**
 * A run that is behind lasts almost five minutes and the next may begin a minute later, so that one period of
 * four can be without a summary: three of them are 15 minutes.
 */
const BEHIND_PATIENCE = { above: 3, periods: 4 };

const SUMMARY: NoticeCode = 'release-summary';

export interface NoticesProps {
  readonly receive: ILogGroup;
  readonly deliver: ILogGroup;
  readonly release: ILogGroup;
}

export class Notices extends Construct {
  constructor(scope: Construct, id: string, logs: NoticesProps) {
    super(scope, id);
    const errors = FilterPattern.stringValue('$.level', '=', 'error');
    for (const [name, logGroup] of [
      ['Receive', logs.receive],
      ['Deliver', logs.deliver],
      ['Release', logs.release],
    ] as const) {
      this.count(`${name}Errors`, logGroup, errors, { name: 'ErrorNotices', value: '1' });
    }
    this.count(
      'ReleaseBehind',
      logs.release,
      FilterPattern.all(
        FilterPattern.stringValue('$.code', '=', SUMMARY),
        FilterPattern.numberValue('$.detail.behind', '>', 0),
      ),
      { name: 'ShardsBehind', value: '$.detail.behind' },
    );

    alarmAboveZero(this, 'ErrorsNoticed', {
      fault: 'a function noticed an error',
      metric: this.metric('ErrorNotices', Stats.SUM),
    });
    alarmAboveZero(this, 'ReleaseStaysBehind', {
      fault: 'release is behind',
      metric: this.metric('ShardsBehind', Stats.MAXIMUM),
      patience: BEHIND_PATIENCE,
    });
  }

  private count(
    id: string,
    logGroup: ILogGroup,
    filterPattern: IFilterPattern,
    metric: { readonly name: string; readonly value: string },
  ): void {
    new MetricFilter(this, id, {
      logGroup,
      filterPattern,
      metricNamespace: Stack.of(this).stackName,
      metricName: metric.name,
      metricValue: metric.value,
      unit: Unit.COUNT,
    });
  }

  private metric(metricName: string, statistic: string): Metric {
    const namespace = Stack.of(this).stackName;
    return new Metric({ namespace, metricName, statistic, period: PERIOD, unit: Unit.COUNT });
  }
}
