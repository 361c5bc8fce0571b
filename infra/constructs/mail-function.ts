// What the functions have in common: a bundle, a role of its own without AWS's managed policies, a log group
// that ends, an alarm for runs that fail, and the names of the stores in the environment. The role may write to its own log group and do
// nothing else; the file of each function adds what that function may do.

import { join } from 'node:path/posix';
import { AssetHashType, DockerImage, Duration, type RemovalPolicy } from 'aws-cdk-lib';
import { Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import { Effect, Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  Code,
  Function as LambdaFunction,
  RecursiveLoop,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { type ILogGroup, LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { bundleFunction, type FunctionName, functionFolder } from '../bundle.ts';
import { type ConfigurationBundle, writeConfiguration } from '../configuration.ts';
import { alarmAboveZero } from './alarm.ts';
import type { Stores } from './stores.ts';
import type { Timers } from './timers.ts';

/** Within the asset, which Lambda unpacks at LAMBDA_TASK_ROOT. */
const CONFIGURATION_FOLDER = 'configuration';

export const LOG_RETENTION = RetentionDays.ONE_MONTH;

const ERRORS_PERIOD = Duration.minutes(5);

/** What every function is given. */
export interface SharedProps {
  readonly stores: Stores;
  readonly timers: Timers;
  readonly removalPolicy: RemovalPolicy;
  /** Goes into the assets of the functions that ask for it. */
  readonly configuration: ConfigurationBundle | undefined;
}

export interface MailFunctionProps {
  readonly shared: SharedProps;
  /** Folder under functions/, with an `index.ts` that exports `handler`. */
  readonly name: FunctionName;
  readonly description: string;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly reservedConcurrency?: number;
  /** Sends later timers to the queue that wakes deliver: retries are a loop on purpose. */
  readonly wakesDeliver?: boolean;
  readonly configured?: boolean;
  readonly vpc?: IVpc;
}

export class MailFunction extends Construct {
  readonly function: LambdaFunction;
  readonly role: Role;
  readonly log: ILogGroup;

  constructor(scope: Construct, id: string, props: MailFunctionProps) {
    super(scope, id);
    const { stores, timers, removalPolicy } = props.shared;
    const configuration = props.configured === true ? props.shared.configuration : undefined;
    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    const logGroup = new LogGroup(this, 'Log', { retention: LOG_RETENTION, removalPolicy });
    this.log = logGroup;
    this.allow(['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn]);

    // Before the function: Lambda looks for these permissions while it creates the function.
    if (props.vpc !== undefined) this.allow(NETWORK_INTERFACE_ACTIONS, ['*']);
    this.function = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: bundledCode(props.name, configuration),
      handler: 'index.handler',
      role: this.role,
      logGroup,
      timeout: Duration.seconds(props.timeoutSeconds),
      memorySize: props.memoryMb,
      environment: {
        TABLE_NAME: stores.table.tableName,
        SPOOL_BUCKET: stores.bucket.bucketName,
        TIMERS_QUEUE_URL: timers.queue.queueUrl,
        ...(configuration === undefined
          ? {}
          : { CONFIGURATION_FILE: join(CONFIGURATION_FOLDER, configuration.main) }),
        ...props.environment,
      },
      ...(props.reservedConcurrency === undefined
        ? {}
        : { reservedConcurrentExecutions: props.reservedConcurrency }),
      // Lambda stops what goes round 16 times, unless told (developer guide, recursive loop detection).
      ...(props.wakesDeliver === true ? { recursiveLoop: RecursiveLoop.ALLOW } : {}),
      ...(props.vpc === undefined ? {} : { vpc: props.vpc }),
    });
    if (props.vpc !== undefined) this.denyNetworkInterfacesToCode();
    alarmAboveZero(this, 'Failed', {
      fault: 'a function failed',
      metric: this.function.metricErrors({ period: ERRORS_PERIOD, statistic: Stats.SUM }),
    });
  }

  /** The only way a role gets permissions: named actions on named resources. */
  allow(actions: readonly string[], resources: readonly string[]): void {
    this.role.addToPolicy(new PolicyStatement({ actions: [...actions], resources: [...resources] }));
  }

  /** Lambda keeps the permission, the code that runs under the same role does not (same page of the guide). */
  private denyNetworkInterfacesToCode(): void {
    new Policy(this, 'NetworkInterfacesForLambdaAlone', {
      roles: [this.role],
      statements: [
        new PolicyStatement({
          effect: Effect.DENY,
          actions: [...NETWORK_INTERFACE_ACTIONS],
          resources: ['*'],
          conditions: { ArnEquals: { 'lambda:SourceFunctionArn': this.function.functionArn } },
        }),
      ],
    });
  }
}

/**
 * What Lambda itself needs to attach a function to a VPC (Lambda developer guide, "Giving Lambda functions
 * access to resources in an Amazon VPC"). The describing actions know no resources and the interfaces have no
 * names before they exist, so the statement with these is the one on every resource.
 */
const NETWORK_INTERFACE_ACTIONS = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
] as const;

/** Bundled in this process, without Docker; named by its content, so that the same code deploys as no change. */
function bundledCode(name: FunctionName, configuration: ConfigurationBundle | undefined): Code {
  return Code.fromAsset(functionFolder(name), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry('never-used'),
      local: {
        tryBundle(folder) {
          bundleFunction(name, folder);
          if (configuration !== undefined)
            writeConfiguration(configuration, join(folder, CONFIGURATION_FOLDER));
          return true;
        },
      },
    },
  });
}
