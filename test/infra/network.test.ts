// The network that deliver sends from: one fixed address, and no way in.

import assert from 'node:assert/strict';
import test from 'node:test';
import { list, object, only, readable, resources, synthesized } from './synthesized.ts';

const template = synthesized();

test('mail leaves through one NAT gateway with one fixed address', () => {
  const gateway = only(template, 'AWS::EC2::NatGateway');
  assert.equal(readable(gateway['AllocationId']), 'NetworkEgress.AllocationId');
  assert.equal(resources(template, 'AWS::EC2::EIP').size, 1);
  assert.equal(readable(outputOf('EgressAddress')), 'NetworkEgress.PublicIp');
});

test('deliver runs in the private subnets of two zones, whose way out is the gateway', () => {
  const network = object(only(template, 'AWS::Lambda::Function', 'Deliver')['VpcConfig']);
  assert.deepEqual(list(network['SubnetIds']).map(readable), [
    'NetworkVpcdeliverSubnet1Subnet',
    'NetworkVpcdeliverSubnet2Subnet',
  ]);
  for (const number of [1, 2]) {
    const route = only(template, 'AWS::EC2::Route', `NetworkVpcdeliverSubnet${number}`);
    assert.equal(route['DestinationCidrBlock'], '0.0.0.0/0');
    assert.equal(readable(route['NatGatewayId']), 'NetworkVpcpublicSubnet1NATGateway');
  }
});

test('nothing may connect to deliver, and it may connect to any mail server', () => {
  const group = only(template, 'AWS::EC2::SecurityGroup', 'Deliver');
  assert.equal(group['SecurityGroupIngress'], undefined);
  assert.deepEqual(
    list(group['SecurityGroupEgress']).map((rule) => [object(rule)['CidrIp'], object(rule)['IpProtocol']]),
    [['0.0.0.0/0', '-1']],
  );
  assert.equal(resources(template, 'AWS::EC2::SecurityGroupIngress').size, 0);
});

test('content and ledger are reached without passing the gateway', () => {
  const endpoints = [...resources(template, 'AWS::EC2::VPCEndpoint').values()];
  assert.deepEqual(
    endpoints.map((endpoint) => [endpoint['VpcEndpointType'], readable(endpoint['ServiceName'])]),
    [
      ['Gateway', 'com.amazonaws.AWS::Region.s3'],
      ['Gateway', 'com.amazonaws.AWS::Region.dynamodb'],
    ],
  );
  for (const endpoint of endpoints) {
    const tables = list(endpoint['RouteTableIds']).map(readable);
    assert.ok(tables.includes('NetworkVpcdeliverSubnet1RouteTable'));
    assert.ok(tables.includes('NetworkVpcdeliverSubnet2RouteTable'));
  }
});

test('only deliver is in the network', () => {
  assert.equal(only(template, 'AWS::Lambda::Function', 'Receive')['VpcConfig'], undefined);
  assert.equal(only(template, 'AWS::Lambda::Function', 'Release')['VpcConfig'], undefined);
});

test('with network=none there is no VPC, no gateway and no address to pay for', () => {
  const without = synthesized({ network: 'none', ehloHostname: 'out.example.com' });
  for (const type of ['AWS::EC2::VPC', 'AWS::EC2::NatGateway', 'AWS::EC2::EIP', 'AWS::EC2::SecurityGroup']) {
    assert.equal(resources(without, type).size, 0, type);
  }
  assert.equal(only(without, 'AWS::Lambda::Function', 'Deliver')['VpcConfig'], undefined);
});

function outputOf(name: string): unknown {
  return object(object(template.findOutputs(name))[name])['Value'];
}
