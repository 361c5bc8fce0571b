// The process whose CPU is measured: the receive and deliver handlers with their adapters and SDK clients, and
// nothing else. Stores, destinations, name server, API and clients are in other processes. It answers requests of
// protocol.ts until its parent goes away.
// Limit: the stores are spoken to in plain HTTP, so that TLS to AWS is not in the figures.

import type { SQSEvent } from 'aws-lambda';
import { createEgress } from '../functions/deliver/egress.ts';
import { createDeliverHandler } from '../functions/deliver/handler.ts';
import { createReceiveHandler, type ReceiveEvent } from '../functions/receive/handler.ts';
import { emulatorClients } from '../local/clients.ts';
import { invoke } from '../local/lambda.ts';
import { LEASE_MARGIN_SECONDS, RESEND_RECEIVE_COUNT } from '../shared/aws/limits.ts';
import { QUEUE_LIMITS } from '../shared/aws/queue-limits.ts';
import { createDestinationStores, createStores } from '../shared/aws/stores.ts';
import { systemClock, systemRandom } from '../shared/aws/system.ts';
import { EMPTY_CONFIGURATION } from '../shared/config/configuration.ts';
import { deliverySettings } from '../shared/config/delivery-settings.ts';
import { DEFAULT_TEMPO } from '../shared/queue/tempo.ts';
import { createJsonLog } from '../shared/records/json-lines.ts';
import { DEFAULT_LIMITS } from '../shared/xfer/limits.ts';
import { createMeter, meterClients } from './meter.ts';
import { type Answer, type Measured, requestShape, type Setup, setupShape } from './protocol.ts';

const setup = setupShape.parse(JSON.parse(process.argv[2] ?? ''));
const meter = createMeter();
let logBytes = 0;
let faults: string[] = [];
let invocations: Measured['invocations'] = [];
let cpu = process.cpuUsage();

const functions = createFunctions(setup);
process.on('message', (message) => void serve(message));
process.once('disconnect', () => process.exit());
answer({ kind: 'ready' });

async function serve(message: unknown): Promise<void> {
  const request = requestShape.parse(message);
  switch (request.kind) {
    case 'invoke': {
      const { call, functionName, event, timeoutMs } = request;
      const startedMs = performance.now();
      const cpuBefore = process.cpuUsage();
      try {
        const result =
          functionName === 'receive'
            ? await functions.receive(event, timeoutMs)
            : await functions.deliver(event, timeoutMs);
        const cpuMs = milliseconds(process.cpuUsage(cpuBefore));
        invocations.push({ functionName, durationMs: performance.now() - startedMs, cpuMs });
        answer({ kind: 'result', call, result: JSON.stringify(result) });
      } catch (error) {
        answer({ kind: 'failed', call, message: error instanceof Error ? error.message : String(error) });
      }
      return;
    }
    case 'measure': {
      const measured = measure();
      answer({ kind: 'measured', call: request.call, measured });
      cpu = process.cpuUsage();
      return;
    }
  }
}

function measure(): Measured {
  const measured = {
    cpuMs: milliseconds(process.cpuUsage(cpu)),
    invocations,
    logBytes,
    faults,
    usage: { ...meter.read() },
    itemSizes: [...meter.itemSizes()],
  };
  logBytes = 0;
  faults = [];
  invocations = [];
  return measured;
}

function createFunctions(setup: Setup) {
  const clients = emulatorClients(setup);
  if (setup.metered !== undefined) meterClients(clients, meter, setup.metered);
  const tempo = { ...DEFAULT_TEMPO, ...setup.tempo };
  const names = { table: setup.table, bucket: setup.bucket, queueUrl: setup.timersQueueUrl };
  const json = createJsonLog((line) => {
    logBytes += Buffer.byteLength(line);
    process.stdout.write(line);
  }, Date.now);
  const log: typeof json = {
    record: json.record,
    notice(notice) {
      if (notice.level !== 'info') faults.push(`${notice.code}: ${notice.message}`);
      json.notice(notice);
    },
  };
  const shared = {
    ...createStores(clients, names, { clock: systemClock, tempo }),
    clock: systemClock,
    random: systemRandom,
    limits: QUEUE_LIMITS,
    tempo,
    log,
  };
  const receive = createReceiveHandler({
    ...shared,
    authentication: { kind: 'iam' },
    bareNewlines: 'refuse',
    traceHost: 'xfer.example.com',
    transferLimits: DEFAULT_LIMITS,
  });
  const egress = createEgress(
    {
      ehloName: 'out.example.com',
      settingsFor: () => deliverySettings(EMPTY_CONFIGURATION),
      smtpPort: setup.smtpPort,
      allowedNetworks: ['127.0.0.0/8'],
      dnsServers: [setup.dnsServer],
    },
    { ...shared, ...createDestinationStores(clients, names, { clock: systemClock }) },
  );
  const deliver = createDeliverHandler({
    ...shared,
    ...egress,
    leaseMarginMs: LEASE_MARGIN_SECONDS * 1_000,
    resendReceiveCount: RESEND_RECEIVE_COUNT,
  });
  return {
    receive(text: string, timeoutMs: number) {
      const event: ReceiveEvent = JSON.parse(text);
      return invoke('receive', receive, event, timeoutMs);
    },
    deliver(text: string, timeoutMs: number) {
      const event: SQSEvent = JSON.parse(text);
      return invoke('deliver', deliver, event, timeoutMs);
    },
  };
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1_000;
}

function answer(message: Answer): void {
  process.send?.(message);
}
