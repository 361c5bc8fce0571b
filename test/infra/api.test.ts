// The HTTP API: its routes, who may call them, and what it writes down about each call.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { parseCredentials } from '../../shared/access/credentials.ts';
import { object, only, readable, resources, synthesized } from './synthesized.ts';

const template = synthesized();
const basic = synthesized({ authentication: 'basic' });

test('with IAM, every route to mail wants a signature', () => {
  assert.deepEqual(routesOf(template), {
    'POST /delay_message': 'AWS_IAM',
    'POST /delay_message/uploads': 'AWS_IAM',
    'DELETE /delay_message/{id}': 'AWS_IAM',
    'POST /api/xfer/inject/v1': 'AWS_IAM',
    'GET /health': 'NONE',
    $default: 'NONE',
  });
  assert.equal(resources(template, 'AWS::SecretsManager::Secret').size, 0);
});

test('with Basic, the API lets all through to the function, which is told to check against the secret', () => {
  assert.deepEqual(routesOf(basic), {
    'POST /delay_message': 'NONE',
    'POST /delay_message/uploads': 'NONE',
    'DELETE /delay_message/{id}': 'NONE',
    'POST /api/xfer/inject/v1': 'NONE',
    'GET /health': 'NONE',
    $default: 'NONE',
  });
  const receive = object(only(basic, 'AWS::Lambda::Function', 'Receive')['Environment']);
  const variables = object(receive['Variables']);
  assert.equal(variables['AUTHENTICATION'], 'basic');
  assert.equal(readable(variables['CREDENTIALS_SECRET_ARN']), 'ReceiveCredentials');
});

test('until an operator fills the secret, it is a document that lets nobody in', () => {
  const secret = only(basic, 'AWS::SecretsManager::Secret');
  const document = parseCredentials(String(secret['SecretString']));
  assert.ok(document.ok);
  assert.equal(document.hashes.size, 0);
});

test('all routes lead to receive, in payload format 2.0', () => {
  const integration = only(template, 'AWS::ApiGatewayV2::Integration');
  assert.equal(integration['IntegrationType'], 'AWS_PROXY');
  assert.equal(readable(integration['IntegrationUri']), 'ReceiveLambdaFunction.Arn');
  assert.equal(integration['PayloadFormatVersion'], '2.0');
  const targets = [...resources(template, 'AWS::ApiGatewayV2::Route').values()].map((route) =>
    readable(route['Target']),
  );
  assert.deepEqual(new Set(targets), new Set(['integrations/ApiPOSTdelaymessageReceive']));
});

test('the function answers before the API gives up on it after 30 seconds', () => {
  const integration = only(template, 'AWS::ApiGatewayV2::Integration');
  assert.equal(integration['TimeoutInMillis'], undefined, "API Gateway's default, which is its most");
  assert.equal(only(template, 'AWS::Lambda::Function', 'Receive')['Timeout'], 29);
});

test('calls past a thousand a second are told to come back', () => {
  const settings = object(only(template, 'AWS::ApiGatewayV2::Stage')['DefaultRouteSettings']);
  assert.equal(settings['ThrottlingRateLimit'], 1_000);
  assert.equal(settings['ThrottlingBurstLimit'], 500);
});

test('the access log has a line of JSON for each call, with the request id and no header of it', () => {
  const stage = only(template, 'AWS::ApiGatewayV2::Stage');
  assert.equal(stage['StageName'], '$default');
  const settings = object(stage['AccessLogSettings']);
  assert.equal(readable(settings['DestinationArn']), 'ApiAccessLog.Arn');
  const line: unknown = JSON.parse(String(settings['Format']));
  assert.equal(object(line)['requestId'], '$context.requestId');
  for (const value of Object.values(object(line))) assert.match(String(value), /^\$context\.[A-Za-z.]+$/);
});

function routesOf(of: Template): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    [...resources(of, 'AWS::ApiGatewayV2::Route').values()].map((route) => [
      String(route['RouteKey']),
      route['AuthorizationType'],
    ]),
  );
}
