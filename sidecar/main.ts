// The sidecar as a program: `node sidecar/main.ts --config FILE`. Exit status 0 after SIGTERM or SIGINT, 64 for a
// wrong command line, 78 for a configuration that cannot be used, 1 for anything else (as sysexits.h has them).

import { parseArgs } from 'node:util';
import type { Configuration } from '../shared/config/configuration.ts';
import { formatListen, type ListenAddress, parseListen } from '../shared/config/listen.ts';
import { formatXferRoute } from '../shared/config/routes.ts';
import { readConfigurationFiles } from '../shared/files/configuration-files.ts';
import type { SidecarRecord } from './log.ts';
import type { AwsCredentials } from './push/signature.ts';
import { checkSidecar, type Sidecar, SidecarStartError, startSidecar } from './start.ts';

const USAGE = `Usage: node sidecar/main.ts --config FILE [FILE…] [--listen ADDRESS:PORT…]

Takes mail that an MTA could not deliver yet, by SMTP, and hands it over to a receiver by HTTP.

  --config FILE…         configuration files, in this order; later ones win
  --listen ADDRESS:PORT  where to take mail, instead of the ESMTP_Listener stanzas; without either 127.0.0.1:2525
  --check                say what the configuration would do, and stop
  --help                 this text

Logs go to standard output, one line of JSON each; faults go to standard error.
docs/sidecar.md tells how to put it beside an MTA.
`;

const EX_USAGE = 64;
const EX_CONFIG = 78;

interface Arguments {
  readonly files: readonly string[];
  readonly listen: readonly ListenAddress[];
  readonly check: boolean;
}

async function main(args: readonly string[]): Promise<void> {
  const parsed = readArguments(args);
  if (parsed === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const options = {
    configuration: readConfiguration(parsed.files),
    log: writeLine,
    awsCredentials: machineCredentials(),
    ...(parsed.listen.length > 0 && { listen: parsed.listen }),
  };
  if (!parsed.check) {
    stopOnSignals(await startSidecar(options));
    return;
  }
  const { targets, places } = checkSidecar(options);
  for (const { address, port } of places)
    process.stdout.write(`takes mail at ${formatListen({ host: address, port })}\n`);
  for (const { domain, routes } of targets.all) {
    process.stdout.write(`hands over to ${domain}: ${routes.map(formatXferRoute).join(', ')}\n`);
  }
}

function readArguments(args: readonly string[]): Arguments | 'help' {
  const options = {
    config: { type: 'string', multiple: true },
    listen: { type: 'string', multiple: true },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help) return 'help';
    const files = [...(values.config ?? []), ...positionals];
    if (files.length === 0) throw new Error('--config FILE is needed');
    const listen = (values.listen ?? []).map((text) => {
      const address = parseListen(text);
      if (address === undefined) throw new Error(`--listen ${text} is no address and port`);
      return address;
    });
    return { files, listen, check: values.check ?? false };
  } catch (error) {
    return fail(EX_USAGE, `${messageOf(error)}\n\n${USAGE}`);
  }
}

function readConfiguration(paths: readonly string[]): Configuration {
  const result = readConfigurationFiles(paths);
  if (!result.ok) return fail(EX_CONFIG, result.faults.join('\n'));
  for (const message of result.warnings) {
    const timestamp = Date.now() / 1000;
    writeLine({ type: 'Notice', timestamp, level: 'warn', code: 'configuration', message });
  }
  return result.configuration;
}

// Loaded at the first signature: most sidecars sign nothing.
function machineCredentials(): () => Promise<AwsCredentials> {
  let provider: Promise<() => Promise<AwsCredentials>> | undefined;
  return async () => {
    provider ??= import('@aws-sdk/credential-provider-node').then(({ defaultProvider }) => defaultProvider());
    return (await provider)();
  };
}

function stopOnSignals(sidecar: Sidecar): void {
  let stopping = false;
  const stop = (): void => {
    // A second signal does not wait for what is under way.
    if (stopping) process.exit(1);
    stopping = true;
    sidecar.close().then(
      () => process.exit(0),
      (error: unknown) => fail(1, messageOf(error)),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function writeLine(record: SidecarRecord): void {
  process.stdout.write(`${JSON.stringify(record)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fail(status: number, text: string): never {
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exit(status);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const configuration = error instanceof SidecarStartError && error.code === 'configuration';
  fail(configuration ? EX_CONFIG : 1, messageOf(error));
});
