// A receiver in a process of its own, on disk. `stack`: the real function behind the local API front, over emulators
// in a process of theirs. `disk`: the least that a receiver can be: it reads each transfer with the receiver's own
// parser, waits until the disk has it, and accepts everything, so that what goes through it shows the sidecar and
// not the emulators. Arguments: which of them, and an empty folder. It answers its port.

import { open } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as z from 'zod/mini';
import { startApiFront } from '../../local/api-front.ts';
import { emulatorClients } from '../../local/clients.ts';
import { spawnEmulators } from '../../local/emulators-process.ts';
import { API_ROUTES, createFunctions } from '../../local/functions.ts';
import { RECEIVE_TIMEOUT_SECONDS } from '../../shared/aws/limits.ts';
import { EMPTY_CONFIGURATION } from '../../shared/config/configuration.ts';
import { deliverySettings } from '../../shared/config/delivery-settings.ts';
import { DEFAULT_TEMPO } from '../../shared/queue/tempo.ts';
import { parseFrames } from '../../shared/xfer/frame-parser.ts';
import { DEFAULT_LIMITS } from '../../shared/xfer/limits.ts';
import { formatVerdicts } from '../../shared/xfer/verdict.ts';
import { answerAll } from '../smtp/child.ts';

const [kind, folder = ''] = process.argv.slice(2);
const port = kind === 'stack' ? await startStack() : await startDisk();
answerAll(z.object({ kind: z.literal('port') }), async () => port);

async function startStack(): Promise<number> {
  const emulators = await spawnEmulators({ dataDirectory: folder });
  const functions = createFunctions({
    clients: emulatorClients(emulators),
    endpoints: emulators,
    authentication: { kind: 'open', credential: 'bench' },
    destinations: { allowedNetworks: [] },
    settingsFor: () => deliverySettings(EMPTY_CONFIGURATION),
    named: new Map(),
    hostName: 'receiver.bench.test',
    concurrentBatches: 1,
    tempo: DEFAULT_TEMPO,
    speed: 1,
    log: {
      record() {},
      notice(notice) {
        if (notice.level !== 'info') console.error(`${notice.code}: ${notice.message}`);
      },
    },
  });
  const front = await startApiFront({
    functionName: 'receive',
    handler: functions.receive,
    functionTimeoutMs: RECEIVE_TIMEOUT_SECONDS * 1_000,
    routes: API_ROUTES,
    addresses: [{ host: '127.0.0.1', port: 0 }],
    onFault: (error) => console.error(error),
  });
  return front.addresses[0]?.port ?? 0;
}

/** Files that transfers are written to in turns: what was kept is not what is measured. */
const FILES = 64;

async function startDisk(): Promise<number> {
  let transfers = 0;
  const take = async (request: IncomingMessage): Promise<string> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const wire = Buffer.concat(pieces);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(wire) : wire;
    const parsed = parseFrames(body, DEFAULT_LIMITS, Date.now());
    if (!parsed.ok) throw new Error(parsed.problem.detail);
    transfers += 1;
    const file = await open(join(folder, String(transfers % FILES)), 'w');
    await file.write(body);
    await file.datasync();
    await file.close();
    return formatVerdicts(
      parsed.messages.map((message) => ({
        id: message.kind === 'refused' ? message.id : message.header.id,
        status: 'accepted',
      })),
    ).body;
  };
  const server = createServer((request, response) => {
    take(request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(body),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.keepAliveTimeout = 60_000;
  return await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound === null || typeof bound === 'string' ? 0 : bound.port);
    });
  });
}
