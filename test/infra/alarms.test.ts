// What raises an alarm: notices in the logs, functions that fail, a release that stays behind. That each alarm
// names its heading is in runbook.test.ts, the dead-letter queue's alarm in stores.test.ts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { list, object, only, readable, resources, synthesized } from './synthesized.ts';

const template = synthesized();

const WITHIN_FIVE_MINUTES = {
  periodSeconds: 300,
  comparison: 'GreaterThanThreshold',
  threshold: 0,
  above: 1,
  periods: 1,
  noData: 'notBreaching',
};

test('there is an alarm for each fault that an operator must see, and no other', () => {
  assert.deepEqual([...resources(template, 'AWS::CloudWatch::Alarm').keys()].sort(), [
    'DeliverLambdaFailed',
    'NoticesErrorsNoticed',
    'NoticesReleaseStaysBehind',
    'ReceiveLambdaFailed',
    'ReleaseLambdaFailed',
    'TimersDeadLettersNotEmpty',
  ]);
});

test('held mail and every other notice of level error is counted in the logs of all three functions', () => {
  const filters = [...resources(template, 'AWS::Logs::MetricFilter').values()].map((filter) => ({
    log: readable(filter['LogGroupName']),
    pattern: filter['FilterPattern'],
    metrics: filter['MetricTransformations'],
  }));
  const errors = {
    pattern: '{ $.level = "error" }',
    metrics: [{ MetricNamespace: 'delay-xfer', MetricName: 'ErrorNotices', MetricValue: '1', Unit: 'Count' }],
  };
  assert.deepEqual(filters, [
    { log: 'ReceiveLambdaLog', ...errors },
    { log: 'DeliverLambdaLog', ...errors },
    { log: 'ReleaseLambdaLog', ...errors },
    {
      log: 'ReleaseLambdaLog',
      pattern: '{ ($.code = "release-summary") && ($.detail.behind > 0) }',
      metrics: [
        {
          MetricNamespace: 'delay-xfer',
          MetricName: 'ShardsBehind',
          MetricValue: '$.detail.behind',
          Unit: 'Count',
        },
      ],
    },
  ]);
});

test('one notice of level error raises the alarm within five minutes', () => {
  assert.deepEqual(alarm('NoticesErrorsNoticed'), {
    metric: 'delay-xfer ErrorNotices',
    of: [],
    statistic: 'Sum',
    ...WITHIN_FIVE_MINUTES,
  });
});

for (const name of ['Receive', 'Deliver', 'Release']) {
  test(`one run of ${name.toLowerCase()} that fails raises its alarm within five minutes`, () => {
    assert.deepEqual(alarm(`${name}LambdaFailed`), {
      metric: 'AWS/Lambda Errors',
      of: [`${name}LambdaFunction`],
      statistic: 'Sum',
      ...WITHIN_FIVE_MINUTES,
    });
  });
}

test('release raises the alarm when it is behind for 15 minutes, though a long run leaves a gap of five', () => {
  assert.deepEqual(alarm('NoticesReleaseStaysBehind'), {
    metric: 'delay-xfer ShardsBehind',
    of: [],
    statistic: 'Maximum',
    periodSeconds: 300,
    comparison: 'GreaterThanThreshold',
    threshold: 0,
    above: 3,
    periods: 4,
    noData: 'notBreaching',
  });
});

function alarm(id: string): Readonly<Record<string, unknown>> {
  const properties = only(template, 'AWS::CloudWatch::Alarm', id);
  return {
    metric: `${properties['Namespace']} ${properties['MetricName']}`,
    of: list(properties['Dimensions']).map((dimension) => readable(object(dimension)['Value'])),
    statistic: properties['Statistic'],
    periodSeconds: properties['Period'],
    comparison: properties['ComparisonOperator'],
    threshold: properties['Threshold'],
    above: properties['DatapointsToAlarm'],
    periods: properties['EvaluationPeriods'],
    noData: properties['TreatMissingData'],
  };
}
