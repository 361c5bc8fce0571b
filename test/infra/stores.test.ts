// The spool, the ledger and the timers queue: what keeps mail safe, and the numbers that follow from limits.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  DELIVER_BATCH_WINDOW_SECONDS,
  DELIVER_TIMEOUT_SECONDS,
  LEASE_MARGIN_SECONDS,
} from '../../shared/aws/limits.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from '../../shared/aws/table.ts';
import { list, object, only, readable, resources, synthesized } from './synthesized.ts';

const template = synthesized();

test('the spool is encrypted, closed to the public, and kept when the stack goes', () => {
  const spool = only(template, 'AWS::S3::Bucket');
  assert.deepEqual(spool['BucketEncryption'], {
    ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
  });
  assert.deepEqual(spool['PublicAccessBlockConfiguration'], {
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  });
  template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
});

test('content that nothing points at any more is gone after 14 days, a broken upload after one', () => {
  assert.deepEqual(only(template, 'AWS::S3::Bucket')['LifecycleConfiguration'], {
    Rules: [
      {
        Id: 'backstop',
        Status: 'Enabled',
        ExpirationInDays: 14,
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ],
  });
});

test('spool and queues refuse callers without TLS', () => {
  const refusals = [
    ...resources(template, 'AWS::S3::BucketPolicy').values(),
    ...resources(template, 'AWS::SQS::QueuePolicy').values(),
  ].flatMap((policy) =>
    list(object(policy['PolicyDocument'])['Statement'])
      .map(object)
      .map(({ Effect, Action, Principal, Condition, Resource }) => ({
        Effect,
        Action,
        Principal,
        Condition,
        Resource: list(Resource).map(readable),
      })),
  );
  const refused = { Effect: 'Deny', Principal: { AWS: '*' } };
  const withoutTls = { Bool: { 'aws:SecureTransport': 'false' } };
  const spool = ['StoresSpool.Arn', 'StoresSpool.Arn/*'];
  assert.deepEqual(refusals, [
    { ...refused, Action: 's3:*', Condition: withoutTls, Resource: spool },
    { ...refused, Action: 's3:*', Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } }, Resource: spool },
    { ...refused, Action: 'sqs:*', Condition: withoutTls, Resource: ['TimersDeadLetters.Arn'] },
    { ...refused, Action: 'sqs:*', Condition: withoutTls, Resource: ['TimersQueue.Arn'] },
  ]);
});

test('the ledger can be restored to any second, forgets what has ended, and cannot be deleted by accident', () => {
  const ledger = only(template, 'AWS::DynamoDB::Table');
  assert.equal(ledger['BillingMode'], 'PAY_PER_REQUEST');
  assert.deepEqual(ledger['PointInTimeRecoverySpecification'], { PointInTimeRecoveryEnabled: true });
  assert.deepEqual(ledger['TimeToLiveSpecification'], { AttributeName: TTL_ATTRIBUTE, Enabled: true });
  assert.equal(ledger['DeletionProtectionEnabled'], true);
  template.hasResource('AWS::DynamoDB::Table', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
});

test("the ledger's keys and indexes are those that the adapter reads", () => {
  const ledger = only(template, 'AWS::DynamoDB::Table');
  const keys = (partition: string, sort: string) => [
    { AttributeName: partition, KeyType: 'HASH' },
    { AttributeName: sort, KeyType: 'RANGE' },
  ];
  assert.deepEqual(ledger['KeySchema'], keys(PARTITION_KEY, SORT_KEY));
  assert.deepEqual(
    ledger['GlobalSecondaryIndexes'],
    INDEXES.map((index) => ({
      IndexName: index.name,
      KeySchema: keys(index.partitionKey, index.sortKey),
      Projection: { ProjectionType: 'KEYS_ONLY' },
    })),
  );
  assert.deepEqual(
    INDEXES.map((index) => index.name),
    ['by-due', 'by-domain'],
  );
});

test('a timer surfaces again only after its function and its lease have ended: 900 + 1 + 60 seconds', () => {
  const { VisibilityTimeout } = only(template, 'AWS::SQS::Queue', 'TimersQueue');
  assert.equal(VisibilityTimeout, 961);
  assert.equal(
    VisibilityTimeout,
    DELIVER_TIMEOUT_SECONDS + DELIVER_BATCH_WINDOW_SECONDS + LEASE_MARGIN_SECONDS,
  );
});

test('timers live 14 days, encrypted, and end in the dead-letter queue only at the thousandth receive', () => {
  const timers = only(template, 'AWS::SQS::Queue', 'TimersQueue');
  const deadLetters = only(template, 'AWS::SQS::Queue', 'TimersDeadLetters');
  for (const queue of [timers, deadLetters]) {
    assert.equal(queue['MessageRetentionPeriod'], 1_209_600);
    assert.equal(queue['SqsManagedSseEnabled'], true);
    assert.equal(queue['FifoQueue'], undefined);
  }
  const redrive = object(timers['RedrivePolicy']);
  assert.equal(redrive['maxReceiveCount'], 1_000);
  assert.equal(readable(redrive['deadLetterTargetArn']), 'TimersDeadLetters.Arn');
});

test('one timer in the dead-letter queue raises the alarm within a minute', () => {
  const alarm = only(template, 'AWS::CloudWatch::Alarm', 'TimersDeadLettersNotEmpty');
  assert.deepEqual(
    {
      metric: alarm['MetricName'],
      queue: list(alarm['Dimensions']).map((dimension) => readable(object(dimension)['Value'])),
      statistic: alarm['Statistic'],
      periodSeconds: alarm['Period'],
      comparison: alarm['ComparisonOperator'],
      threshold: alarm['Threshold'],
      periods: alarm['EvaluationPeriods'],
      noData: alarm['TreatMissingData'],
    },
    {
      metric: 'ApproximateNumberOfMessagesVisible',
      queue: ['TimersDeadLetters.QueueName'],
      statistic: 'Maximum',
      periodSeconds: 60,
      comparison: 'GreaterThanThreshold',
      threshold: 0,
      periods: 1,
      noData: 'notBreaching',
    },
  );
});

test('with removalPolicy=destroy the ledger, the spool and the logs go with the stack', () => {
  const passing = synthesized({ removalPolicy: 'destroy' });
  for (const type of ['AWS::S3::Bucket', 'AWS::DynamoDB::Table', 'AWS::EC2::EIP', 'AWS::Logs::LogGroup']) {
    passing.allResources(type, { DeletionPolicy: 'Delete' });
    template.allResources(type, { DeletionPolicy: 'Retain' });
  }
  assert.equal(only(passing, 'AWS::DynamoDB::Table')['DeletionProtectionEnabled'], false);
});
