import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBudget } from '../../sidecar/intake/memory-budget.ts';
import { deliver, openRaw } from './sidecar-smtp-client.ts';
import { listenerFor, usersWith } from './sidecar-smtp-listener.ts';

const FRAGMENTS: readonly string[] = [
  'EHLO mta.example.com\r\n',
  'HELO mta\r\n',
  'LHLO mta\r\n',
  'EHLO \xff\xfe\r\n',
  'MAIL FROM:<>\r\n',
  'MAIL FROM:<s@example.com> SIZE=99999999999999999999 BODY=8BITMIME\r\n',
  'MAIL FROM:<"\\"@">\r\n',
  'RCPT TO:<a@example.net>\r\n',
  'RCPT TO:<"a\\\\>b"@example.net> ORCPT=rfc822;+2B NOTIFY=DELAY,FAILURE\r\n',
  'RCPT TO:<@@@:a@b>\r\n',
  'DATA\r\n',
  'Subject: x\r\n\r\n..\r\n.x\r\n',
  '.\r\n',
  '\r\n.\r\n',
  '\n.\n',
  '\r.\r',
  '.',
  '\r',
  '\n',
  '\0',
  'RSET\r\n',
  'NOOP\r\n',
  'AUTH PLAIN\r\n',
  'AUTH LOGIN bXRhLTE=\r\n',
  '*\r\n',
  'AG10YS0xAHdyb25n\r\n',
  'XFORWARD NAME=a ADDR=[UNAVAILABLE]\r\n',
  'STARTTLS\r\n',
  'VRFY\r\n',
  `${'x'.repeat(3_000)}`,
  `NOOP ${'y '.repeat(4_000)}\r\n`,
];

test('whatever is said in whatever order, replies are replies and nothing stays behind', async (t) => {
  const memory = new MemoryBudget(100_000);
  for (const lmtp of [false, true]) {
    const { port, close } = await listenerFor(t, {
      lmtp,
      memory,
      settings: { users: await usersWith('mta-1', 'correct horse battery') },
      failedAuthDelayMs: 0,
    });
    for (let seed = 1; seed <= 150; seed += 1) {
      const draw = drawing(seed);
      const wire = Buffer.from(
        Array.from({ length: 5 + draw(40) }, () => FRAGMENTS[draw(FRAGMENTS.length)]).join(''),
        'latin1',
      );
      const client = openRaw(port);
      let heard = '';
      client.socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString('latin1');
      });
      for (let at = 0; at < wire.length; ) {
        const to = at + 1 + draw(wire.length);
        client.write(wire.subarray(at, to));
        at = to;
        if (draw(2) === 0) await new Promise((turn) => setImmediate(turn));
      }
      client.socket.end();
      await client.closed;
      assert.match(heard, /^220 [\x20-\x7e]+\r\n(?:\d{3}[ -][\x20-\x7e]*\r\n)*$/, `seed ${seed}`);
    }
    if (!lmtp) assert.equal(await deliver(port, 'a@example.net', 'Hello.\r\n'), '250 2.0.0 taken');
    await close(60_000);
    assert.equal(memory.heldBytes, 0);
  }
});

/** Numbers below a limit, the same for the same seed (a linear congruential generator). */
function drawing(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
