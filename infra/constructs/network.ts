// Where deliver sends from: a VPC whose only way out is a NAT gateway with a fixed address, since Lambda opens
// port 25 to functions in a VPC alone. S3 and DynamoDB are reached through gateway endpoints, which cost
// nothing and keep message content off the NAT gateway; SQS is called through NAT.
//
// Limit: one NAT gateway in one zone. When that zone fails, mail waits in the queue and is retried later.

import { Fn, type RemovalPolicy } from 'aws-cdk-lib';
import {
  CfnEIP,
  GatewayVpcEndpointAwsService,
  type IVpc,
  NatProvider,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

/** Two, so that Lambda still has a subnet when the other zone fails. */
const ZONES = 2;

export interface NetworkProps {
  readonly removalPolicy: RemovalPolicy;
}

export class Network extends Construct {
  readonly vpc: IVpc;
  /** The address that receiving servers see. Its reputation is earned over months: kept with the stores. */
  readonly address: string;
  /** `[192.0.2.1]`, the EHLO argument of a host without a name (RFC 5321 §4.1.3). */
  readonly addressLiteral: string;

  constructor(scope: Construct, id: string, { removalPolicy }: NetworkProps) {
    super(scope, id);
    const elasticIp = new CfnEIP(this, 'Egress', { domain: 'vpc' });
    elasticIp.applyRemovalPolicy(removalPolicy);
    this.address = elasticIp.attrPublicIp;
    this.addressLiteral = Fn.join('', ['[', elasticIp.attrPublicIp, ']']);

    const vpc = new Vpc(this, 'Vpc', {
      maxAzs: ZONES,
      natGateways: 1,
      natGatewayProvider: NatProvider.gateway({ eipAllocationIds: [elasticIp.attrAllocationId] }),
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: 'deliver', subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      ],
      gatewayEndpoints: {
        S3: { service: GatewayVpcEndpointAwsService.S3 },
        DynamoDb: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      },
    });
    // A cast, since CDK types one property of the class as undefined and of the interface as optional.
    this.vpc = vpc as IVpc;
  }
}
