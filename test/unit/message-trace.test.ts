// Our trace header and its recognition.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isHostName, isOwnTrace, traceHeader } from '../../shared/message/trace.ts';

const FACTS = {
  id: '0J9ZK_a-b',
  acceptedAtMs: Date.UTC(2026, 10, 22, 10, 0, 0),
  traceHost: 'xfer.example.org',
};

function body(header: string): string {
  return header.slice(header.indexOf(':') + 1);
}

describe('the trace header', () => {
  test('is one folded Received field that names both hosts, the id and the time in UTC', () => {
    assert.equal(
      traceHeader({ ...FACTS, receivedFrom: 'mx1.example.com' }).toString(),
      'Received: from mx1.example.com\r\n' +
        '\tby xfer.example.org (delay-xfer) with XFER id 0J9ZK_a-b;\r\n' +
        '\tSun, 22 Nov 2026 10:00:00 +0000\r\n',
    );
  });

  test('says unknown where the sending side told no host', () => {
    assert.match(traceHeader(FACTS).toString(), /^Received: from unknown\r\n\tby /);
  });

  test('is the same octets for the same facts', () => {
    assert.deepEqual(traceHeader(FACTS), traceHeader({ ...FACTS }));
  });

  test('writes a day of one digit with two', () => {
    const header = traceHeader({ ...FACTS, acceptedAtMs: Date.UTC(2026, 0, 1, 23, 59, 59, 999) }).toString();
    assert.match(header, /\tThu, 01 Jan 2026 23:59:59 \+0000\r\n$/);
  });
});

describe('a trace of our own', () => {
  const own = body(traceHeader({ ...FACTS, receivedFrom: 'mx1.example.com' }).toString());

  test('is recognised as it was made, and in any case of the host', () => {
    assert.equal(isOwnTrace(own, 'xfer.example.org'), true);
    assert.equal(isOwnTrace(own, 'XFER.example.ORG'), true);
    assert.equal(isOwnTrace(body(traceHeader(FACTS).toString()), 'xfer.example.org'), true);
  });

  test('is recognised after it was unfolded, folded elsewhere, or given comments', () => {
    assert.equal(isOwnTrace(own.replaceAll(/\r\n\t/g, ' '), 'xfer.example.org'), true);
    assert.equal(isOwnTrace(own.replaceAll(' ', '\r\n   '), 'xfer.example.org'), true);
    assert.equal(
      isOwnTrace(
        ' from a (b [192.0.2.1] (c)) by xfer.example.org (x) (y) with XFER id 1;',
        'xfer.example.org',
      ),
      true,
    );
  });

  test('is not seen in the trace of another host, another protocol, or a comment', () => {
    assert.equal(isOwnTrace(own, 'other.example.org'), false);
    assert.equal(isOwnTrace(own, 'example.org'), false);
    assert.equal(isOwnTrace(' from a by xfer.example.org with ESMTP id 1;', 'xfer.example.org'), false);
    assert.equal(
      isOwnTrace(' from xfer.example.org by mx.example.net with ESMTP id 1;', 'xfer.example.org'),
      false,
    );
    assert.equal(
      isOwnTrace(' from a (by xfer.example.org with XFER id 1) by b with SMTP;', 'xfer.example.org'),
      false,
    );
    assert.equal(isOwnTrace(' from a ( by xfer.example.org with XFER id 1;', 'xfer.example.org'), false);
  });
});

describe('a host name for the trace', () => {
  test('is a domain name or a literal in brackets, of at most 255 characters', () => {
    for (const name of [
      'mx1.example.com',
      'localhost',
      'my_host',
      '192.0.2.1',
      '[192.0.2.1]',
      '[IPv6:2001:db8::1]',
    ]) {
      assert.equal(isHostName(name), true, name);
    }
    for (const name of [
      '',
      'a b',
      'a\r\nb',
      'é.example',
      'a)',
      '-a',
      'a-',
      '.',
      'x'.repeat(256),
      '2001:db8::1',
    ]) {
      assert.equal(isHostName(name), false, name);
    }
  });
});
