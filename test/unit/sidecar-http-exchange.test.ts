import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../../sidecar/clock.ts';
import { perform } from '../../sidecar/push/http-exchange.ts';

test('a write that this machine refuses says nothing of the receiver, and one that the network cuts does', async (t) => {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const [code, syscall, kind] of [
    ['EINVAL', 'write', 'unreadable'],
    ['ENOBUFS', 'writev', 'unreadable'],
    ['EPIPE', 'write', 'lost'],
    ['EINVAL', 'read', 'lost'],
  ] as const) {
    let socket: Socket | undefined;
    const outcome = perform(
      systemClock,
      { body: [Buffer.from('half')], timeoutMs: 10_000 },
      'receiver',
      () => {
        const outgoing = request({
          method: 'POST',
          headers: { 'content-length': 4 },
          createConnection: () => {
            socket = connect(port, '127.0.0.1');
            return socket;
          },
        });
        socket?.once('connect', () =>
          setImmediate(() =>
            socket?.destroy(Object.assign(new Error(`${syscall} ${code}`), { code, syscall })),
          ),
        );
        return outgoing;
      },
    );
    assert.equal((await outcome).kind, kind, `${syscall} ${code}`);
  }
});
