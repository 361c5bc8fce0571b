// `npm start`: reads the command line and the configuration, runs the stack until SIGINT or SIGTERM, or plays the
// demo. Exit status 0 after a clean stop, 64 for a wrong command line, 78 for a configuration that cannot be used,
// 1 for anything else (as sysexits.h has them); the demo's own status with --demo.

import { replyClassifier } from '../functions/configuration.ts';
import type { Configuration } from '../shared/config/configuration.ts';
import { deliverySettings } from '../shared/config/delivery-settings.ts';
import { createJsonLog } from '../shared/records/json-lines.ts';
import type { Log, Notice } from '../shared/records/records.ts';
import { type Access, OPEN_ACCESS, readAccess } from './access.ts';
import { readArguments, type StartArguments, usage } from './arguments.ts';
import { banner } from './banner.ts';
import {
  apiPlaces,
  ConfigurationFaults,
  type LoadedConfiguration,
  namesReceiver,
  narrowedListens,
  outsidePort,
  readConfiguration,
  sinkWarnings,
  withOwnReceiver,
} from './configuration.ts';
import { runDemo } from './demo.ts';
import { noticeLine, recordLine, sidecarLine } from './log-lines.ts';
import { type ApiPlaces, type SidecarPlan, type Stack, type StackOptions, startStack } from './stack.ts';

const EX_USAGE = 64;
const EX_CONFIG = 78;
/** 128 and the number of SIGINT, as shells report it. */
const EX_INTERRUPTED = 130;

async function main(args: readonly string[]): Promise<number> {
  const read = readArguments(args);
  switch (read.kind) {
    case 'help':
      process.stdout.write(usage());
      return 0;
    case 'faults':
      process.stderr.write(`${read.faults.join('\n')}\nnpm start -- --help tells what there is.\n`);
      return EX_USAGE;
    case 'start':
      return read.arguments.demo ? await demo(read.arguments) : await serve(read.arguments);
  }
}

async function serve(start: StartArguments): Promise<number> {
  const loaded = readConfiguration(start.configurationFiles);
  const { outside } = start;
  const sinkOnly = outside === undefined ? sinkWarnings(loaded.configuration) : [];
  const port = outsidePort(loaded.configuration, outside?.smtpPort);
  const destinations = outside && {
    ...(outside.smtpPort === undefined ? {} : { smtpPort: outside.smtpPort }),
    allowedNetworks: outside.allowedNetworks,
    ...(outside.dnsServer === undefined ? {} : { dnsServers: [outside.dnsServer] }),
  };
  for (const warning of [...loaded.warnings, ...sinkOnly]) process.stderr.write(`${warning}\n`);
  const access = start.credentialsFile === undefined ? OPEN_ACCESS : await readAccess(start.credentialsFile);
  for (const text of narrowedListens(loaded.configuration, access.sidecar !== undefined))
    process.stderr.write(`${text}\n`);
  const stop = signalled();
  const stack = await startStack({
    ...commonOptions(start),
    configuration: loaded.configuration,
    named: loaded.named,
    authentication: access.authentication,
    api: places(start, loaded, access),
    sidecar: sidecarPlan(start, loaded, access),
    ...(destinations === undefined ? {} : { destinations }),
    ...output(start.json, loaded),
  });
  const text = banner(stack, {
    speed: start.speed,
    dataDirectory: start.dataDirectory,
    outside: destinations && `${destinations.dnsServers?.[0] ?? 'by DNS'}, port ${port}`,
    credential: access.example,
  });
  (start.json ? process.stderr : process.stdout).write(`${text}\n`);
  await stop;
  await closeNow(stack);
  return 0;
}

async function demo(start: StartArguments): Promise<number> {
  const stopping = new AbortController();
  void signalled().then(() => stopping.abort());
  const status = await runDemo({
    output: process.stdout,
    environment: { CI: process.env['CI'], TERM: process.env['TERM'] },
    stop: stopping.signal,
    start: (hooks) =>
      startStack({
        ...commonOptions(start),
        ...hooks,
        api: { hosts: ['127.0.0.1'], port: start.ports.api },
        sidecar: sidecarPlan(start, readConfiguration([]), OPEN_ACCESS),
      }),
  });
  return stopping.signal.aborted ? EX_INTERRUPTED : status;
}

function commonOptions(start: StartArguments) {
  return {
    speed: start.speed,
    sinkPort: start.ports.sink,
    dnsPort: start.ports.dns,
    ...(start.dataDirectory === undefined ? {} : { dataDirectory: start.dataDirectory }),
  };
}

function places(start: StartArguments, loaded: LoadedConfiguration, access: Access): ApiPlaces {
  const configured = apiPlaces(loaded.configuration, access.sidecar !== undefined);
  if (configured === undefined) return { hosts: ['127.0.0.1'], port: start.ports.api };
  if (start.ports.api.insisted) {
    throw new ConfigurationFaults(
      '--port and an HTTP_Listener in the configuration both say where the API is',
    );
  }
  return configured;
}

function sidecarPlan(start: StartArguments, loaded: LoadedConfiguration, access: Access): SidecarPlan {
  const { files, configuration } = loaded;
  const listens = configuration.listeners.some((listener) => listener.kind !== 'HTTP_Listener');
  if (listens && start.ports.smtp.insisted) {
    throw new ConfigurationFaults('--smtp-port and an ESMTP_Listener both say where the sidecar is');
  }
  return {
    configuration: (apiUrl) =>
      withoutHttp(
        namesReceiver(configuration) ? configuration : withOwnReceiver(files, apiUrl, access.sidecar),
      ),
    ...(listens ? {} : { listen: { host: '127.0.0.1', port: start.ports.smtp } }),
  };
}

/** The HTTP_Listener is the API's here, not the sidecar's. */
function withoutHttp(configuration: Configuration): Configuration {
  const listeners = configuration.listeners.filter((listener) => listener.kind !== 'HTTP_Listener');
  return { ...configuration, listeners };
}

function output(
  json: boolean,
  loaded: LoadedConfiguration,
): Pick<StackOptions, 'log' | 'onSidecarRecord' | 'onFault'> {
  const write = (text: string | undefined) => {
    if (text !== undefined) process.stdout.write(`${text}\n`);
  };
  let lastDetail = '';
  // At a high speed release runs every second: for people it speaks only when it has news.
  const isNews = (notice: Notice) => {
    const detail = JSON.stringify([notice.code, notice.detail]);
    const isRepeat = notice.level === 'info' && detail === lastDetail;
    lastDetail = detail;
    return !isRepeat;
  };
  const log: Log = json
    ? createJsonLog((text) => process.stdout.write(text), Date.now, {
        classify: replyClassifier(deliverySettings(loaded.configuration), loaded.named),
      })
    : {
        record: (record) => write(recordLine(record)),
        notice: (notice) => {
          if (isNews(notice)) write(noticeLine(notice, Date.now()));
        },
      };
  return {
    log,
    onSidecarRecord: (record) => write(json ? JSON.stringify(record) : sidecarLine(record)),
    onFault: (error) => process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`),
  };
}

/** Resolves at the first signal; a second one ends the process at once. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    const onSignal = () => {
      if (seen) process.exit(EX_INTERRUPTED);
      seen = true;
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

async function closeNow(stack: Stack): Promise<void> {
  process.stderr.write('stopping: what is under way is finished; once more Ctrl-C stops at once\n');
  await stack.close();
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(statusOf(error));
}

function statusOf(error: unknown): number {
  if (!(error instanceof Error) || !('code' in error)) return 1;
  return ['configuration', 'port-taken', 'data-directory-in-use', 'speed-changed'].includes(
    String(error.code),
  )
    ? EX_CONFIG
    : 1;
}
