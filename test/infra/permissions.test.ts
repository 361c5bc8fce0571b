// What each role may do, stated as whole tables: a grant more or less fails here. Then the rules that hold for
// every statement in the template, whoever adds it.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { list, object, readable, resources, synthesized } from './synthesized.ts';

interface Statement {
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly condition: unknown;
}

test('receive stores and reads content and the ledger, sends timers, and does nothing else', () => {
  assert.deepEqual(allowed(synthesized(), 'ReceiveLambdaRole'), [
    ['logs:CreateLogStream logs:PutLogEvents', 'ReceiveLambdaLog.Arn'],
    ['s3:PutObject s3:GetObject s3:DeleteObject', 'StoresSpool.Arn/*'],
    ['s3:ListBucket', 'StoresSpool.Arn'],
    ['dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem', 'StoresLedger.Arn'],
    ['sqs:SendMessage', 'TimersQueue.Arn'],
  ]);
});

test('with Basic, receive may also read the one secret', () => {
  const basic = allowed(synthesized({ authentication: 'basic' }), 'ReceiveLambdaRole');
  assert.deepEqual(basic.at(-1), ['secretsmanager:GetSecretValue', 'ReceiveCredentials']);
  assert.equal(basic.length, 6);
});

test('deliver reads and drops content, puts reports, works the ledger and the queue, and attaches to its network', () => {
  assert.deepEqual(allowed(synthesized(), 'DeliverLambdaRole'), [
    ['logs:CreateLogStream logs:PutLogEvents', 'DeliverLambdaLog.Arn'],
    [NETWORK_INTERFACES, '*'],
    ['s3:PutObject s3:GetObject s3:DeleteObject', 'StoresSpool.Arn/*'],
    ['s3:ListBucket', 'StoresSpool.Arn'],
    [
      'dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem',
      'StoresLedger.Arn',
    ],
    [
      'sqs:ReceiveMessage sqs:DeleteMessage sqs:ChangeMessageVisibility sqs:GetQueueAttributes sqs:SendMessage',
      'TimersQueue.Arn',
    ],
  ]);
});

test('release reads the index of due times alone, works the ledger, sends timers and drops content', () => {
  assert.deepEqual(allowed(synthesized(), 'ReleaseLambdaRole'), [
    ['logs:CreateLogStream logs:PutLogEvents', 'ReleaseLambdaLog.Arn'],
    ['s3:DeleteObject', 'StoresSpool.Arn/*'],
    ['dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem', 'StoresLedger.Arn'],
    ['dynamodb:Query dynamodb:Scan', 'StoresLedger.Arn/index/by-due'],
    ['sqs:SendMessage sqs:GetQueueAttributes', 'TimersQueue.Arn'],
  ]);
});

for (const context of [
  {},
  { authentication: 'basic' },
  { network: 'none', ehloHostname: 'out.example.com' },
]) {
  const title = JSON.stringify(context);

  test(`no statement allows a pattern of actions, or every resource but for network interfaces: ${title}`, () => {
    for (const [role, statements] of identityStatements(synthesized(context))) {
      for (const { effect, actions, resources } of statements) {
        if (effect === 'Deny') continue;
        assert.deepEqual(
          actions.filter((action) => action.includes('*')),
          [],
          role,
        );
        if (resources.includes('*')) {
          assert.equal(actions.join(' '), NETWORK_INTERFACES, `${role} on every resource`);
          assert.equal(role, 'DeliverLambdaRole');
        }
      }
    }
  });

  test(`roles carry no policies of AWS and no inline ones, and Lambda alone assumes them: ${title}`, () => {
    const roles = resources(synthesized(context), 'AWS::IAM::Role');
    assert.deepEqual([...roles.keys()], ['ReceiveLambdaRole', 'DeliverLambdaRole', 'ReleaseLambdaRole']);
    for (const role of roles.values()) {
      assert.deepEqual(role, {
        AssumeRolePolicyDocument: {
          Statement: [
            { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' } },
          ],
          Version: '2012-10-17',
        },
      });
    }
  });

  test(`nobody outside of the account is allowed anything by a policy of a store: ${title}`, () => {
    const template = synthesized(context);
    const policies = [
      'AWS::S3::BucketPolicy',
      'AWS::SQS::QueuePolicy',
      'AWS::SecretsManager::ResourcePolicy',
    ];
    for (const policy of policies.flatMap((type) => [...resources(template, type).values()])) {
      for (const statement of list(object(policy['PolicyDocument'])['Statement'])) {
        assert.equal(object(statement)['Effect'], 'Deny');
      }
    }
  });
}

test("deliver's own code is denied what Lambda needs to attach it to the network", () => {
  const denied = identityStatements(synthesized())
    .get('DeliverLambdaRole')
    ?.filter(({ effect }) => effect === 'Deny');
  assert.deepEqual(denied, [
    {
      effect: 'Deny',
      actions: NETWORK_INTERFACES.split(' '),
      resources: ['*'],
      condition: 'DeliverLambdaFunction.Arn',
    },
  ]);
});

test('without a network, deliver has no statement on every resource', () => {
  const template = synthesized({ network: 'none', ehloHostname: 'out.example.com' });
  assert.deepEqual(
    allowed(template, 'DeliverLambdaRole').filter(([, on]) => on === '*'),
    [],
  );
});

test('functions are invoked by their own API routes and their own schedule alone', () => {
  const permissions = [...resources(synthesized(), 'AWS::Lambda::Permission').values()].map((permission) =>
    [permission['Principal'], permission['FunctionName'], permission['SourceArn']].map(readable).join(' '),
  );
  const api = 'arn:AWS::Partition:execute-api:AWS::Region:AWS::AccountId:Api/*/*';
  assert.deepEqual(permissions, [
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}/delay_message`,
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}/delay_message/uploads`,
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}/delay_message/{id}`,
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}/api/xfer/inject/v1`,
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}/health`,
    // Every other path: receive says what the API takes.
    `apigateway.amazonaws.com ReceiveLambdaFunction.Arn ${api}`,
    'events.amazonaws.com ReleaseLambdaFunction.Arn ReleaseEveryMinute.Arn',
  ]);
});

/** Lambda developer guide, functions in a VPC: these actions have no narrower resources. */
const NETWORK_INTERFACES = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
].join(' ');

/** [actions, resources] of what a role is allowed, each joined by spaces, in the template's order. */
function allowed(template: Template, role: string): readonly (readonly [string, string])[] {
  const statements = identityStatements(template).get(role) ?? [];
  return statements
    .filter(({ effect }) => effect === 'Allow')
    .map(({ actions, resources }) => [actions.join(' '), resources.join(' ')]);
}

function identityStatements(template: Template): ReadonlyMap<string, readonly Statement[]> {
  const byRole = new Map<string, Statement[]>();
  for (const policy of resources(template, 'AWS::IAM::Policy').values()) {
    const statements = list(object(policy['PolicyDocument'])['Statement']).map(object).map(statementOf);
    for (const role of list(policy['Roles']).map(readable)) {
      byRole.set(role, [...(byRole.get(role) ?? []), ...statements]);
    }
  }
  return byRole;
}

function statementOf(statement: Readonly<Record<string, unknown>>): Statement {
  assert.equal(statement['NotAction'], undefined);
  assert.equal(statement['NotResource'], undefined);
  const condition = statement['Condition'];
  return {
    effect: String(statement['Effect']),
    actions: list(statement['Action']).map(String),
    resources: list(statement['Resource']).map(readable),
    condition:
      condition === undefined
        ? undefined
        : readable(object(object(condition)['ArnEquals'])['lambda:SourceFunctionArn']),
  };
}
