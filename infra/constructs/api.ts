// The HTTP API in front of receive: its routes, who may call each of them, throttling, and the access log.
// With `iam`, API Gateway checks a SigV4 signature before our code runs. With `basic`, the function checks the
// credentials itself, against the secret. GET /health is open either way and says only that it is up.

import { type RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  HttpApi,
  HttpMethod,
  HttpNoneAuthorizer,
  HttpRoute,
  HttpRouteKey,
  HttpStage,
  LogGroupLogDestination,
  PayloadFormatVersion,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { StackParameters } from '../parameters.ts';
import { LOG_RETENTION } from './mail-function.ts';

/** Transfers a second, each of up to many messages. Past it the API answers 429, which clients retry. */
const THROTTLE = { rateLimit: 1_000, burstLimit: 500 };

const ROUTES = [
  { path: '/delay_message', method: HttpMethod.POST },
  { path: '/delay_message/uploads', method: HttpMethod.POST },
  { path: '/delay_message/{id}', method: HttpMethod.DELETE },
  { path: '/api/xfer/inject/v1', method: HttpMethod.POST },
] as const;

const HEALTH = { path: '/health', method: HttpMethod.GET } as const;

/** Names as API Gateway's $context has them; never a header or a body. */
const ACCESS_LOG = {
  requestId: '$context.requestId',
  time: '$context.requestTime',
  sourceIp: '$context.identity.sourceIp',
  caller: '$context.identity.userArn',
  route: '$context.routeKey',
  path: '$context.path',
  status: '$context.status',
  responseBytes: '$context.responseLength',
  latencyMs: '$context.responseLatency',
  functionStatus: '$context.integration.status',
  error: '$context.error.message',
  functionError: '$context.integrationErrorMessage',
};

export interface ApiProps {
  readonly receive: IFunction;
  readonly authentication: StackParameters['authentication'];
  readonly removalPolicy: RemovalPolicy;
}

export class Api extends Construct {
  readonly url: string;

  constructor(scope: Construct, id: string, { receive, authentication, removalPolicy }: ApiProps) {
    super(scope, id);
    const api = new HttpApi(this, 'Api', {
      apiName: Stack.of(this).stackName,
      createDefaultStage: false,
    });
    const integration = new HttpLambdaIntegration('Receive', receive, {
      payloadFormatVersion: PayloadFormatVersion.VERSION_2_0,
    });
    const open = new HttpNoneAuthorizer();
    const senders = authentication === 'iam' ? new HttpIamAuthorizer() : open;
    for (const { path, method } of ROUTES) {
      api.addRoutes({ path, methods: [method], integration, authorizer: senders });
    }
    api.addRoutes({ path: HEALTH.path, methods: [HEALTH.method], integration, authorizer: open });
    // Everything else: the function says in a problem document what the API takes, and never looks at a body.
    new HttpRoute(this, 'Elsewhere', {
      httpApi: api,
      routeKey: HttpRouteKey.DEFAULT,
      integration,
      authorizer: open,
    });

    const accessLog = new LogGroup(this, 'AccessLog', { retention: LOG_RETENTION, removalPolicy });
    const stage = new HttpStage(this, 'Stage', {
      httpApi: api,
      stageName: '$default',
      autoDeploy: true,
      throttle: THROTTLE,
      detailedMetricsEnabled: true,
      accessLogSettings: {
        destination: new LogGroupLogDestination(accessLog),
        format: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
    });
    this.url = stage.url;
  }
}
