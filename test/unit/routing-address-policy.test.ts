// Which addresses mail may go to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';

test('mail goes to public addresses', () => {
  const policy = createAddressPolicy({ allow: [] });
  for (const address of [
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '223.255.255.1',
    '2606:4700::1111',
    '2a00:1450:4001:80b::200e',
  ]) {
    assert.equal(policy(address), undefined, address);
  }
});

test('mail goes to no address inside our own network, the machine or a cloud', () => {
  const policy = createAddressPolicy({ allow: [] });
  for (const [address, refusal] of [
    ['0.0.0.0', 'is unspecified'],
    ['0.1.2.3', 'is unspecified'],
    ['127.0.0.1', 'is loopback'],
    ['127.255.255.254', 'is loopback'],
    ['10.1.2.3', 'is private'],
    ['172.16.0.1', 'is private'],
    ['172.31.255.255', 'is private'],
    ['192.168.1.1', 'is private'],
    ['100.64.0.1', 'is of a carrier-grade NAT'],
    ['169.254.1.1', 'is link-local'],
    ['169.254.169.254', 'is a metadata service'],
    ['168.63.129.16', 'is a metadata service'],
    ['192.0.0.192', 'is reserved'],
    ['192.0.2.1', 'is reserved'],
    ['198.18.0.1', 'is reserved'],
    ['224.0.0.1', 'is multicast'],
    ['240.0.0.1', 'is reserved'],
    ['255.255.255.255', 'is the broadcast address'],
    ['::', 'is unspecified'],
    ['::1', 'is loopback'],
    ['fe80::1', 'is link-local'],
    ['fc00::1', 'is private'],
    ['fd00:ec2::254', 'is a metadata service'],
    ['fd12:3456::1', 'is private'],
    ['ff02::1', 'is multicast'],
    ['::ffff:8.8.8.8', 'is an IPv4-mapped address'],
    ['::ffff:7f00:1', 'is an IPv4-mapped address'],
    ['64:ff9b::7f00:1', 'is a NAT64 address'],
    ['64:ff9b:1::7f00:1', 'is a NAT64 address'],
    ['2002:7f00:1::', 'is in a special range (6to4)'],
    ['2001:0:1::1', 'is in a special range (teredo)'],
    ['2001:db8::1', 'is reserved'],
    ['::7f00:1', 'is not a global address'],
    ['4000::1', 'is not a global address'],
    ['fe80::1%eth0', 'names a network interface'],
  ] as const) {
    assert.equal(policy(address), refusal, address);
  }
});

test('what is no address in its full form is refused', () => {
  const policy = createAddressPolicy({ allow: ['0.0.0.0/0'] });
  for (const text of [
    '',
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '127.0.0.01',
    'localhost',
    '[127.0.0.1]',
    '1.2.3.4.5',
  ]) {
    assert.equal(policy(text), 'is not an IP address', text);
  }
});

test('the operator lets blocks and single addresses through, and nothing beside them', () => {
  const policy = createAddressPolicy({ allow: ['10.1.0.0/16', '127.0.0.2', 'fd00::/16', '::1'] });
  for (const address of ['10.1.2.3', '127.0.0.2', 'fd00:1::1', '::1'])
    assert.equal(policy(address), undefined, address);
  for (const address of ['10.2.0.1', '127.0.0.1', 'fd01::1', '::ffff:10.1.2.3']) {
    assert.notEqual(policy(address), undefined, address);
  }
});

test('a block that cannot be read is a fault of the configuration', () => {
  for (const block of ['10.0.0.0/33', 'example.net', '10.0.0', '', '::1/129']) {
    assert.throws(() => createAddressPolicy({ allow: [block] }), /not an address or CIDR block/, block);
  }
});

test('a relay that the operator names may be private or on this machine', () => {
  const policy = createRoutePolicy({ allow: [] });
  for (const address of [
    '8.8.8.8',
    '10.0.0.5',
    '172.20.0.1',
    '192.168.1.1',
    '100.64.0.9',
    '127.0.0.1',
    '::1',
    'fd12::5',
  ])
    assert.equal(policy(address), undefined, address);
});

test('no relay is a metadata service, or no host at all', () => {
  const policy = createRoutePolicy({ allow: [] });
  for (const [address, refusal] of [
    ['169.254.169.254', 'is a metadata service'],
    ['fd00:ec2::254', 'is a metadata service'],
    ['FD00:EC2:0::254', 'is a metadata service'],
    ['168.63.129.16', 'is a metadata service'],
    ['169.254.7.7', 'is link-local'],
    ['fe80::1', 'is link-local'],
    ['224.0.0.1', 'is multicast'],
    ['0.0.0.0', 'is unspecified'],
    ['::', 'is unspecified'],
    ['255.255.255.255', 'is the broadcast address'],
    ['::ffff:10.0.0.1', 'is an IPv4-mapped address'],
    ['relay.internal', 'is not an IP address'],
  ] as const)
    assert.equal(policy(address), refusal, address);
  const allowing = createRoutePolicy({ allow: ['169.254.7.0/24'] });
  assert.equal(allowing('169.254.7.7'), undefined);
});
