// The whole system as one stack. Each construct holds what belongs together: a function with its role, its
// permissions and its trigger; a store with its policies and alarms. Nothing here has a fixed name, so that
// several stacks can live in one account.

import { CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Api } from './constructs/api.ts';
import { Deliver } from './constructs/deliver.ts';
import { Network } from './constructs/network.ts';
import { Notices } from './constructs/notices.ts';
import { Receive } from './constructs/receive.ts';
import { Release } from './constructs/release.ts';
import { Stores } from './constructs/stores.ts';
import { Timers } from './constructs/timers.ts';
import type { StackParameters } from './parameters.ts';

export interface DelayXferStackProps {
  readonly parameters: StackParameters;
}

export class DelayXferStack extends Stack {
  constructor(scope: Construct, id: string, { parameters }: DelayXferStackProps) {
    super(scope, id, {
      description:
        'Takes deferred mail over HTTP and retries it by SMTP until it is delivered, bounced or expired.',
    });
    const removalPolicy =
      parameters.removalPolicy === 'retain' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;

    const stores = new Stores(this, 'Stores', { removalPolicy });
    const timers = new Timers(this, 'Timers');
    const network =
      parameters.network === 'vpc' ? new Network(this, 'Network', { removalPolicy }) : undefined;
    const ehloHostname = parameters.ehloHostname ?? network?.addressLiteral;
    const traceHost = parameters.traceHost ?? ehloHostname;
    if (ehloHostname === undefined || traceHost === undefined) {
      throw new Error('without a network there is no address to name ourselves by: set ehloHostname');
    }
    const shared = { stores, timers, removalPolicy, configuration: parameters.configuration };

    const receive = new Receive(this, 'Receive', {
      shared,
      authentication: parameters.authentication,
      traceHost,
      reservedConcurrency: parameters.reservedConcurrency,
    });
    const api = new Api(this, 'Api', {
      receive: receive.function,
      authentication: parameters.authentication,
      removalPolicy,
    });
    const deliver = new Deliver(this, 'Deliver', {
      shared,
      network,
      ehloHostname,
      traceHost,
      maximumConcurrency: parameters.maximumConcurrency,
    });
    const release = new Release(this, 'Release', {
      shared,
      reservedConcurrency: parameters.reservedConcurrency,
    });
    new Notices(this, 'Notices', { receive: receive.log, deliver: deliver.log, release: release.log });

    new CfnOutput(this, 'ApiUrl', { value: api.url });
    if (network !== undefined) new CfnOutput(this, 'EgressAddress', { value: network.address });
    if (receive.credentials !== undefined) {
      new CfnOutput(this, 'CredentialsSecret', { value: receive.credentials.secretArn });
    }
  }
}
