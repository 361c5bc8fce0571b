// A sidecar on a free port of the loopback interface, with its log at hand; closed with the test.

import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type { Configuration } from '../../shared/config/configuration.ts';
import { formatFault } from '../../shared/config/fault.ts';
import { loadConfiguration } from '../../shared/config/load.ts';
import type { AttemptRecord, Notice, SidecarRecord, XferOut } from '../../sidecar/log.ts';
import { type Sidecar, type SidecarOptions, startSidecar } from '../../sidecar/start.ts';
import { type ScriptedReceiver, startReceiver } from './sidecar-receiver.ts';

export interface Fixture {
  readonly sidecar: Sidecar;
  readonly port: number;
  readonly records: readonly SidecarRecord[];
  /** Resolves when so many messages have been logged. */
  transfers(count: number): Promise<readonly XferOut[]>;
  /** Resolves when an attempt by SMTP has been logged that came out so. */
  attempted(type: AttemptRecord['type']): Promise<AttemptRecord>;
  notices(): readonly Notice[];
  /** Resolves when a notice with this code has been logged. */
  notice(code: Notice['code']): Promise<Notice>;
}

export function configurationOf(text: string): Configuration {
  const result = loadConfiguration([{ path: 'test.conf', text }]);
  if (!result.ok) throw new Error(result.faults.map(formatFault).join('\n'));
  return result.configuration;
}

/** An example of sidecar/examples, with its receiver's address put in place of 10.10.10.10:8080. */
export function exampleFor(name: string, port: number): string {
  const text = readFileSync(new URL(`../../sidecar/examples/${name}`, import.meta.url), 'utf8');
  return text.replace('xfer://10.10.10.10?port=8080', `xfer://127.0.0.1?port=${port}`);
}

/** Delayed mail goes to the receivers on these ports, in this order. */
export function delayedTo(ports: readonly number[], options = ''): string {
  const routes = ports.map((port) => `"xfer://127.0.0.1?port=${port}"`).join(' ');
  return `
Delayed_Reroute_Domain = "xfer.test"
Instance = "mx1.example.com"
EHLO_Hostname = "sidecar.example.com"
Domain xfer.test {
  Delivery_Method = "delay_xfer"
  Routes = ( ${routes} )
  ${options}
}`;
}

export async function receiverFor(context: TestContext): Promise<ScriptedReceiver> {
  const receiver = await startReceiver();
  context.after(() => receiver.close());
  return receiver;
}

export async function sidecarFor(
  context: Pick<TestContext, 'after'>,
  configuration: string,
  options: Partial<SidecarOptions> = {},
): Promise<Fixture> {
  const records: SidecarRecord[] = [];
  const waiters: (() => void)[] = [];
  const sidecar = await startSidecar({
    configuration: configurationOf(configuration),
    log(record) {
      records.push(record);
      for (const wake of waiters.splice(0)) wake();
    },
    listen: [{ host: '127.0.0.1', port: 0 }],
    random: () => 0.5,
    ...options,
  });
  context.after(() => sidecar.close());
  const out = (): readonly XferOut[] => records.filter((record) => record.type === 'XferOut');
  return {
    sidecar,
    port: sidecar.addresses[0]?.port ?? 0,
    records,
    async transfers(count) {
      while (out().length < count) await new Promise<void>((wake) => waiters.push(wake));
      return out();
    },
    notices: () => records.filter((record) => record.type === 'Notice'),
    async attempted(type) {
      for (;;) {
        for (const record of records) if (isAttempt(record) && record.type === type) return record;
        await new Promise<void>((wake) => waiters.push(wake));
      }
    },
    async notice(code) {
      for (;;) {
        const found = records.find((record) => record.type === 'Notice' && record.code === code);
        if (found?.type === 'Notice') return found;
        await new Promise<void>((wake) => waiters.push(wake));
      }
    },
  };
}

function isAttempt(record: SidecarRecord): record is AttemptRecord {
  return record.type !== 'Notice' && record.type !== 'XferOut';
}

/** A port of the loopback interface on which nothing listens. */
export async function closedPort(): Promise<number> {
  const receiver = await startReceiver();
  await receiver.close();
  return receiver.port;
}
