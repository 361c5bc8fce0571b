// The sidecar as a program, once its command line is read: starts it from files, reads them again at SIGHUP, stops
// it at SIGTERM and SIGINT, and tells systemd. Exit status 0 after a stop, 78 for a configuration that cannot be
// used, 1 for anything else, such as an address that is taken.

import { formatListen, type ListenAddress } from '../shared/config/listen.ts';
import { formatXferRoute } from '../shared/config/routes.ts';
import {
  type ReadConfiguration,
  readConfigurationFiles,
  sendingFindings,
} from '../shared/files/configuration-files.ts';
import type { Notice, SidecarRecord } from './log.ts';
import { describePlace, type PlaceKind } from './places.ts';
import type { AwsCredentials } from './push/signature.ts';
import { type ServiceManager, serviceManager } from './service-manager.ts';
import { checkSidecar, type Sidecar, type SidecarOptions, SidecarStartError, startSidecar } from './start.ts';
import type { TraceRecord } from './trace.ts';

export interface ProgramArguments {
  readonly files: readonly string[];
  /** Instead of the ESMTP_Listener stanzas; empty when none is given. */
  readonly listen: readonly ListenAddress[];
  /** Say what would be done, and stop. */
  readonly check: boolean;
  /** Log the dialogue with clients and receivers as well. */
  readonly verbose?: boolean;
}

export interface ProgramTerminal {
  out(text: string): void;
  err(text: string): void;
}

const EX_CONFIG = 78;

/** Resolves with the exit status once the sidecar has stopped. */
export async function runSidecar(given: ProgramArguments, terminal: ProgramTerminal): Promise<number> {
  const read = readConfigurationFiles(given.files);
  if (!read.ok) {
    terminal.err(`${read.faults.join('\n')}\n`);
    return EX_CONFIG;
  }
  const writeLine = (record: SidecarRecord | TraceRecord): void =>
    terminal.out(`${JSON.stringify(record)}\n`);
  const options: SidecarOptions = {
    configuration: read.configuration,
    checkCombinations: true,
    log: writeLine,
    ...(given.verbose === true && { trace: writeLine }),
    awsCredentials: machineCredentials(),
    ...(given.listen.length > 0 && { listen: given.listen }),
  };
  try {
    if (given.check) {
      terminal.out(planText(options));
      return 0;
    }
    warn(read, options.log);
    return await runUntilStopped(startSidecar(options), given.files, options.log);
  } catch (error) {
    if (!(error instanceof SidecarStartError)) throw error;
    terminal.err(`${error.message}\n`);
    return error.code === 'configuration' ? EX_CONFIG : 1;
  }
}

function planText(options: SidecarOptions): string {
  const { targets, places } = checkSidecar(options);
  const lines = [
    ...places.map(({ kind, address, port }) => `${TAKES[kind]} at ${formatListen({ host: address, port })}`),
    ...targets.all.map(({ domain, routes }) => {
      return `hands over to ${domain}: ${routes.map(formatXferRoute).join(', ')}`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}

const TAKES: Readonly<Record<PlaceKind, string>> = {
  smtp: 'takes mail',
  lmtp: 'takes mail by LMTP',
  http: 'takes mail by HTTP',
  metrics: 'answers Prometheus',
};

// Signals that come while it starts are kept until it has started.
async function runUntilStopped(
  starting: Promise<Sidecar>,
  files: readonly string[],
  log: SidecarOptions['log'],
): Promise<number> {
  const manager = serviceManager({
    environment: process.env,
    pid: process.pid,
    monotonicMicros: () => process.hrtime.bigint() / 1000n,
    failed: (reason) => log(notice('warn', 'service-manager', reason)),
  });
  const reload = (): void => {
    starting.then(
      (sidecar) => reread(sidecar, files, log, manager),
      () => undefined,
    );
  };
  process.on('SIGHUP', reload);
  const stopped = stopSignal();
  const sidecar = await starting;
  manager.ready(statusOf(sidecar));
  await stopped;
  manager.stopping();
  await sidecar.close();
  await manager.close();
  process.off('SIGHUP', reload);
  return 0;
}

async function reread(
  sidecar: Sidecar,
  files: readonly string[],
  log: SidecarOptions['log'],
  manager: ServiceManager,
): Promise<void> {
  manager.reloading();
  const read = readConfigurationFiles(files);
  if (read.ok) warn(read, log);
  const result = await sidecar.reload(read);
  const refused = result.ok ? '' : '; the last reload was refused, see the log';
  manager.ready(`${statusOf(sidecar)}${refused}`);
}

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) process.exit(1);
      stopping = true;
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

function statusOf(sidecar: Sidecar): string {
  return sidecar.addresses.map(describePlace).join(', ');
}

// Loaded at the first signature: most sidecars sign nothing.
function machineCredentials(): () => Promise<AwsCredentials> {
  let provider: Promise<() => Promise<AwsCredentials>> | undefined;
  return async () => {
    provider ??= import('@aws-sdk/credential-provider-node').then(({ defaultProvider }) => defaultProvider());
    return (await provider)();
  };
}

function warn({ configuration, warnings }: ReadConfiguration, log: SidecarOptions['log']): void {
  for (const message of [...warnings, ...sendingFindings(configuration).warnings]) {
    log(notice('warn', 'configuration', message));
  }
}

function notice(level: Notice['level'], code: Notice['code'], message: string): SidecarRecord {
  return { type: 'Notice', timestamp: Date.now() / 1000, level, code, message };
}
