// The three functions: what they run on, what wakes them, and what they are told.

import assert from 'node:assert/strict';
import test from 'node:test';
import { list, object, only, readable, resources, synthesized } from './synthesized.ts';

const template = synthesized({ ehloHostname: 'out.example.com' });

test('every function runs on arm64 and Node 24, from an ES module', () => {
  const functions = resources(template, 'AWS::Lambda::Function');
  assert.deepEqual(
    [...functions].map(([id, properties]) => [
      id,
      properties['Runtime'],
      properties['Architectures'],
      properties['Handler'],
      properties['Timeout'],
      properties['MemorySize'],
    ]),
    [
      ['ReceiveLambdaFunction', 'nodejs24.x', ['arm64'], 'index.handler', 29, 1_024],
      ['DeliverLambdaFunction', 'nodejs24.x', ['arm64'], 'index.handler', 900, 1_024],
      ['ReleaseLambdaFunction', 'nodejs24.x', ['arm64'], 'index.handler', 300, 512],
    ],
  );
});

test('each function is told where mail lives and by which names to call us', () => {
  const everywhere = {
    TABLE_NAME: 'StoresLedger',
    SPOOL_BUCKET: 'StoresSpool',
    TIMERS_QUEUE_URL: 'TimersQueue',
  };
  assert.deepEqual(environmentOf('Receive'), {
    ...everywhere,
    TRACE_HOST: 'out.example.com',
    AUTHENTICATION: 'iam',
  });
  assert.deepEqual(environmentOf('Deliver'), {
    ...everywhere,
    EHLO_HOSTNAME: 'out.example.com',
    TRACE_HOST: 'out.example.com',
  });
  assert.deepEqual(environmentOf('Release'), everywhere);
});

test('a name of its own for the Received header is told to receive, which writes that header', () => {
  const named = synthesized({ ehloHostname: 'out.example.com', traceHost: 'xfer.example.com' });
  assert.equal(environmentOf('Receive', named)['TRACE_HOST'], 'xfer.example.com');
  assert.equal(environmentOf('Deliver', named)['EHLO_HOSTNAME'], 'out.example.com');
});

test('without a configured name, deliver says its fixed address as a literal', () => {
  const unnamed = synthesized();
  assert.equal(environmentOf('Deliver', unnamed)['EHLO_HOSTNAME'], '[NetworkEgress.PublicIp]');
  assert.equal(environmentOf('Receive', unnamed)['TRACE_HOST'], '[NetworkEgress.PublicIp]');
});

test('timers wake deliver a hundred at a time, gathered for a second, each with its own outcome', () => {
  const { EventSourceArn, FunctionName, ...settings } = only(template, 'AWS::Lambda::EventSourceMapping');
  assert.equal(readable(EventSourceArn), 'TimersQueue.Arn');
  assert.equal(readable(FunctionName), 'DeliverLambdaFunction');
  assert.deepEqual(settings, {
    BatchSize: 100,
    MaximumBatchingWindowInSeconds: 1,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: 50 },
  });
});

test('release wakes every minute, and a run that failed is left to the next minute', () => {
  const { ScheduleExpression, State, Targets } = only(template, 'AWS::Events::Rule');
  assert.equal(ScheduleExpression, 'rate(1 minute)');
  assert.equal(State, 'ENABLED');
  assert.deepEqual(
    list(Targets)
      .map(object)
      .map(({ Arn, RetryPolicy }) => [readable(Arn), RetryPolicy]),
    [['ReleaseLambdaFunction.Arn', { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 }]],
  );
  const invocation = only(template, 'AWS::Lambda::EventInvokeConfig');
  assert.equal(readable(invocation['FunctionName']), 'ReleaseLambdaFunction');
  assert.equal(invocation['MaximumRetryAttempts'], 0);
  assert.equal(invocation['MaximumEventAgeInSeconds'], 60);
});

test('deliver cannot use up the concurrency that receive needs', () => {
  const reserved = (name: string, of = template) =>
    only(of, 'AWS::Lambda::Function', name)['ReservedConcurrentExecutions'];
  assert.equal(reserved('Receive'), 100);
  assert.equal(reserved('Receive', synthesized({ reservedConcurrency: '7' })), 7);
  assert.equal(reserved('Receive', synthesized({ reservedConcurrency: 'none' })), undefined);
  assert.equal(reserved('Deliver'), undefined);
  const narrow = only(synthesized({ maximumConcurrency: '3' }), 'AWS::Lambda::EventSourceMapping');
  assert.deepEqual(narrow['ScalingConfig'], { MaximumConcurrency: 3 });
});

test('runs of release never overlap, unless the account has no concurrency to set aside', () => {
  const reserved = (of = template) =>
    only(of, 'AWS::Lambda::Function', 'Release')['ReservedConcurrentExecutions'];
  assert.equal(reserved(), 1);
  assert.equal(reserved(synthesized({ reservedConcurrency: '7' })), 1);
  assert.equal(reserved(synthesized({ reservedConcurrency: 'none' })), undefined);
});

test('Lambda does not take retries for an endless loop: deliver and release may wake deliver for ever', () => {
  const functions = resources(template, 'AWS::Lambda::Function');
  assert.deepEqual(
    [...functions].map(([id, properties]) => [id, properties['RecursiveLoop']]),
    [
      ['ReceiveLambdaFunction', undefined],
      ['DeliverLambdaFunction', 'Allow'],
      ['ReleaseLambdaFunction', 'Allow'],
    ],
  );
});

test('every log group ends: lines are kept for 30 days', () => {
  const groups = resources(template, 'AWS::Logs::LogGroup');
  assert.deepEqual(
    [...groups].map(([id, properties]) => [id, properties['RetentionInDays']]),
    [
      ['ReceiveLambdaLog', 30],
      ['ApiAccessLog', 30],
      ['DeliverLambdaLog', 30],
      ['ReleaseLambdaLog', 30],
    ],
  );
  const used = [...resources(template, 'AWS::Lambda::Function').values()].map((properties) =>
    readable(object(properties['LoggingConfig'])['LogGroup']),
  );
  assert.deepEqual(used, ['ReceiveLambdaLog', 'DeliverLambdaLog', 'ReleaseLambdaLog']);
});

function environmentOf(name: string, of = template): Readonly<Record<string, string>> {
  const environment = object(only(of, 'AWS::Lambda::Function', name)['Environment']);
  return Object.fromEntries(
    Object.entries(object(environment['Variables'])).map(([variable, value]) => [variable, readable(value)]),
  );
}
