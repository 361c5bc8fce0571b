// The mailbox parser: what mail uses passes as it was sent, what could break a command line does not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { domainOf, needsSmtpUtf8, parseMailbox } from '../../shared/message/address.ts';

describe('a mailbox of the envelope', () => {
  const taken: readonly [sent: string, address: string, localPart: string, domain: string, utf8: boolean][] =
    [
      ['a@example.net', 'a@example.net', 'a', 'example.net', false],
      ['First.Last+tag@Example.NET', 'First.Last+tag@example.net', 'First.Last+tag', 'example.net', false],
      [
        "!#$%&'*+-/=?^_`{|}~@example.net",
        "!#$%&'*+-/=?^_`{|}~@example.net",
        "!#$%&'*+-/=?^_`{|}~",
        'example.net',
        false,
      ],
      ['"john doe"@example.net', '"john doe"@example.net', '"john doe"', 'example.net', false],
      ['"a@b"@example.net', '"a@b"@example.net', '"a@b"', 'example.net', false],
      ['"a..b"@example.net', '"a..b"@example.net', '"a..b"', 'example.net', false],
      ['"a\\"b\\\\c"@example.net', '"a\\"b\\\\c"@example.net', '"a\\"b\\\\c"', 'example.net', false],
      ['""@example.net', '""@example.net', '""', 'example.net', false],
      ['a@localhost', 'a@localhost', 'a', 'localhost', false],
      ['a@my_host.example_x.net', 'a@my_host.example_x.net', 'a', 'my_host.example_x.net', false],
      ['a@_dmarc.example', 'a@_dmarc.example', 'a', '_dmarc.example', false],
      ['a@1and1.example', 'a@1and1.example', 'a', '1and1.example', false],
      ['a@xn--BCHER-kva.example', 'a@xn--bcher-kva.example', 'a', 'xn--bcher-kva.example', false],
      ['a@BÜCHER.example', 'a@bücher.example', 'a', 'bücher.example', true],
      ['用户@例え.テスト', '用户@例え.テスト', '用户', '例え.テスト', true],
      ['"用 户"@example.net', '"用 户"@example.net', '"用 户"', 'example.net', true],
      ['a@[192.0.2.1]', 'a@[192.0.2.1]', 'a', '[192.0.2.1]', false],
      ['a@[IPv6:2001:DB8::0:1]', 'a@[IPv6:2001:db8::1]', 'a', '[IPv6:2001:db8::1]', false],
      ['a@[ipv6:::ffff:192.0.2.1]', 'a@[IPv6:::ffff:c000:201]', 'a', '[IPv6:::ffff:c000:201]', false],
    ];
  for (const [sent, address, localPart, domain, utf8] of taken) {
    test(`${sent} is taken`, () => {
      assert.deepEqual(parseMailbox(sent), { ok: true, address, localPart, domain, utf8 });
    });
  }

  const refused: readonly [sent: string, fault: string][] = [
    ['', 'is empty'],
    ['postmaster', 'is postmaster without a domain; name the domain'],
    ['PostMaster', 'is postmaster without a domain; name the domain'],
    ['a', 'has no @'],
    ['@example.net', 'begins with a source route or lacks its local part'],
    ['@a.example,@b.example:c@example.net', 'begins with a source route or lacks its local part'],
    ['<a@example.net>', 'must stand without angle brackets'],
    ['a@b@example.net', 'has more than one @; a local part that holds one must be quoted'],
    ['a@', 'has no domain after its @'],
    ['.a@example.net', 'has a misplaced dot in its local part, which must be quoted'],
    ['a.@example.net', 'has a misplaced dot in its local part, which must be quoted'],
    ['a..b@example.net', 'has a misplaced dot in its local part, which must be quoted'],
    ['a b@example.net', 'has a character in its local part that must be quoted'],
    ['a,b@example.net', 'has a character in its local part that must be quoted'],
    ['a\\b@example.net', 'has a character in its local part that must be quoted'],
    ['"a@example.net', 'has a quoted local part that does not end in "@'],
    ['"a"b@example.net', 'has a quoted local part that does not end in "@'],
    ['"a\\"@example.net', 'has a quoted local part that does not end in "@'],
    ['a@example.net\r\nRCPT TO:<b@example.net>', 'holds a control character'],
    ['a\r@example.net', 'holds a control character'],
    ['"a\n"@example.net', 'holds a control character'],
    ['a\0@example.net', 'holds a control character'],
    ['a@example.net\u007f', 'holds a control character'],
    ['a\u0085@example.net', 'holds a control character'],
    ['a\ud800@example.net', 'holds a lone surrogate, which is no character'],
    ['a@example .net', 'has a character in its domain that no domain takes'],
    ['a@example.net>', 'has a character in its domain that no domain takes'],
    ['a@ex%61mple.bücher', 'has a character in its domain that no domain takes'],
    ['a@example..net', 'has an empty label in its domain (a dot too many)'],
    ['a@example.net.', 'has an empty label in its domain (a dot too many)'],
    ['a@.example.net', 'has an empty label in its domain (a dot too many)'],
    ['a@-example.net', 'has a domain label that begins or ends with a hyphen'],
    ['a@example-.net', 'has a domain label that begins or ends with a hyphen'],
    ['a@192.0.2.1', 'has a domain that ends in a number; an IP address stands in brackets'],
    ['a@0x7f.1', 'has a domain that ends in a number; an IP address stands in brackets'],
    ['a@example.0x7f', 'has a domain that ends in a number; an IP address stands in brackets'],
    ['a@１２７.0.0.1', 'has a domain that ends in a number; an IP address stands in brackets'],
    ['a@[192.0.2]', 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form'],
    ['a@[192.0.2.256]', 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form'],
    ['a@[192.0.02.1]', 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form'],
    ['a@[2001:db8::1]', 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form'],
    [
      'a@[IPv6:2001:db8::1%eth0]',
      'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form',
    ],
    [
      'a@[IPv6:2001:db8::g]',
      'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form',
    ],
    ['a@[x400:abc]', 'has an address literal that is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form'],
  ];
  for (const [sent, fault] of refused) {
    test(`${JSON.stringify(sent)} is refused, since it ${fault}`, () => {
      assert.deepEqual(parseMailbox(sent), { ok: false, fault });
    });
  }

  test('a local part of 64 octets is taken and one of 65 is not, in UTF-8 as in ASCII', () => {
    assert.equal(parseMailbox(`${'a'.repeat(64)}@example.net`).ok, true);
    assert.equal(parseMailbox(`${'é'.repeat(32)}@example.net`).ok, true);
    for (const localPart of ['a'.repeat(65), `${'é'.repeat(32)}a`]) {
      assert.deepEqual(parseMailbox(`${localPart}@example.net`), {
        ok: false,
        fault: 'has a local part over 64 octets',
      });
    }
  });

  test('a domain label of 63 octets is taken and one of 64 is not, also when only its A-label is that long', () => {
    assert.equal(parseMailbox(`a@${'b'.repeat(63)}.net`).ok, true);
    for (const label of ['b'.repeat(64), `${'b'.repeat(60)}é`]) {
      assert.deepEqual(parseMailbox(`a@${label}.net`), {
        ok: false,
        fault: 'has a domain label over 63 octets',
      });
    }
  });

  test('a domain over 255 octets and an address over 254 are refused with their limit', () => {
    const label = `${'b'.repeat(62)}.`;
    assert.deepEqual(parseMailbox(`a@${label.repeat(4)}${'c'.repeat(4)}`), {
      ok: false,
      fault: 'has a domain over 255 octets',
    });
    const longest = `a@${label.repeat(4).slice(1)}c`;
    assert.equal(longest.length, 254);
    assert.equal(parseMailbox(longest).ok, true);
    const tooLong = { ok: false, fault: 'is over 254 octets (a path takes 256 with its angle brackets)' };
    assert.deepEqual(parseMailbox(`a${longest}`), tooLong);
    assert.deepEqual(parseMailbox(`a@${'b.'.repeat(1_000_000)}net`), tooLong);
  });
});

describe('the domain that a delivery is scheduled by', () => {
  const domains: readonly [address: string, domain: string][] = [
    ['a@Example.NET', 'example.net'],
    ['"a@b"@example.net', 'example.net'],
    ['a@bücher.example', 'xn--bcher-kva.example'],
    ['a@xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['用户@例え。テスト', 'xn--r8jz45g.xn--zckzah'],
    ['a@[192.0.2.1]', '[192.0.2.1]'],
    ['a@[IPv6:2001:db8::1]', '[IPv6:2001:db8::1]'],
    ['', ''],
  ];
  for (const [address, domain] of domains) {
    test(`of ${JSON.stringify(address)} is ${JSON.stringify(domain)}`, () => {
      assert.equal(domainOf(address), domain);
    });
  }

  test('SMTPUTF8 is needed for a local part beyond ASCII, not for a domain, which has A-labels', () => {
    assert.equal(needsSmtpUtf8('用户@example.net'), true);
    assert.equal(needsSmtpUtf8('a@bücher.example'), false);
    assert.equal(needsSmtpUtf8('a@example.net'), false);
    assert.equal(needsSmtpUtf8(''), false);
  });
});

describe('whatever text comes as a mailbox', () => {
  test('the parser neither throws nor lets a control, a space outside quotes or an angle bracket through', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.string({
        unit: fc.constantFrom('a', '.', '@', '"', '\\', '-', '[', ']', ':', 'é', ' ', '\r', '\n', '<', '>'),
      }),
    );
    fc.assert(
      fc.property(text, (sent) => {
        const mailbox = parseMailbox(sent);
        if (!mailbox.ok) return;
        assert.doesNotMatch(mailbox.address, /\p{Cc}/u);
        if (!mailbox.localPart.startsWith('"')) assert.doesNotMatch(mailbox.address, /[ <>"\\]/);
        assert.equal(mailbox.address, `${mailbox.localPart}@${mailbox.domain}`);
        assert.deepEqual(parseMailbox(mailbox.address), mailbox);
        assert.match(domainOf(mailbox.address), /^(?:[a-z0-9_.-]+|\[[0-9A-Za-z:.]+\])$/);
      }),
      { numRuns: 3000 },
    );
  });
});
