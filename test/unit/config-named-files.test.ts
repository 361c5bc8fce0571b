// The files that a configuration names: found beside it, and certificates checked before mail depends on them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import { certificatesFault, namedFiles } from '../../shared/config/named-files.ts';
import { SELF_SIGNED } from '../dialogs/self-signed.ts';

function load(path: string, text: string) {
  const result = loadConfiguration([{ path, text }]);
  assert.ok(result.ok);
  return result.configuration;
}

test('a relative path begins where the configuration file is', () => {
  const text = `TLS_CA = "ca.pem"
Reply_Classes = "../rules.json"
Domain bank.example { TLS_CA = "/etc/bank.pem" }
Binding b { TLS_CA = b.pem  Domain bank.example { TLS_CA = bb.pem } }`;
  const configuration = load('/etc/delay-xfer/delivery.conf', text);
  assert.deepEqual(
    namedFiles(configuration).map(({ option, path, place }) => [option.name, path, place.line]),
    [
      ['TLS_CA', '/etc/delay-xfer/ca.pem', 1],
      ['Reply_Classes', '/etc/delay-xfer/../rules.json', 2],
      ['TLS_CA', '/etc/bank.pem', 3],
      ['TLS_CA', '/etc/delay-xfer/b.pem', 4],
      ['TLS_CA', '/etc/delay-xfer/bb.pem', 4],
    ],
  );
  const settings = deliverySettings(configuration, { domain: 'bank.example' });
  assert.equal(settings.tlsCa, '/etc/bank.pem');
  assert.equal(settings.replyClasses, '/etc/delay-xfer/../rules.json');
  assert.equal(deliverySettings(load('x.conf', text)).tlsCa, 'ca.pem');
});

test('a file that holds no certificate, or a broken one, is a fault before any mail depends on it', () => {
  const [file] = namedFiles(load('x.conf', 'TLS_CA = "ca.pem"'));
  assert.ok(file !== undefined);
  const told = (pem: string): string | undefined => {
    const fault = certificatesFault(file, pem);
    return fault === undefined ? undefined : formatFault(fault).split('\n')[0];
  };
  const { cert } = SELF_SIGNED;
  assert.equal(told(cert), undefined);
  assert.equal(told(`# ours\n${cert}\n${cert}`), undefined);
  assert.equal(told('# none\n'), 'x.conf:1:1: TLS_CA: ca.pem holds no certificate in PEM');
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  assert.equal(told(`${cert}\n${broken}`), 'x.conf:1:1: TLS_CA: certificate 2 of ca.pem cannot be read');
});
