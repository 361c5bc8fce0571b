// Real name servers: NSD, which answers for the zones of a test, and unbound, a recursive resolver that knows
// where those zones are. Both stay in the foreground and log what they say.

import { Resolver } from 'node:dns/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { type Running, start } from './program.ts';
import { until } from './until.ts';

const PORT = 53;

/** Records of a zone by its name, in the format of zone files; undefined is a zone that cannot be loaded: SERVFAIL. */
export type Zones = Readonly<Record<string, string | undefined>>;

export interface Nsd {
  /** `address:port` */
  readonly server: string;
  /** Puts records in place of a zone's, or of none. They are served soon. */
  load(zone: string, records: string): Promise<void>;
}

/** Resolves when it serves. */
export async function startNsd(lifetime: Lifetime, address: string, zones: Zones): Promise<Nsd> {
  const directory = await makeDirectory(lifetime, 'nsd');
  const write = (zone: string, records: string) =>
    writeFile(zoneFile(directory, zone), `$ORIGIN ${zone}.\n$TTL 5\n${START_OF_ZONE}\n${records}\n`);
  const stanzas: string[] = [];
  for (const [zone, records] of Object.entries(zones)) {
    stanzas.push(`zone:\n  name: "${zone}"\n  zonefile: "${zoneFile(directory, zone)}"`);
    if (records !== undefined) await write(zone, records);
  }
  const file = join(directory, 'nsd.conf');
  await writeFile(
    file,
    `server:
  ip-address: ${address}@${PORT}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "${directory}"
  pidfile: "${directory}/nsd.pid"
  xfrdfile: "${directory}/xfrd.state"
  xfrdir: "${directory}"
  zonelistfile: "${directory}/zone.list"
remote-control:
  control-enable: no
${stanzas.join('\n')}
`,
  );
  const nsd = await start('/usr/sbin/nsd', ['-d', '-c', file]);
  lifetime.defer(() => nsd.kill());
  const loaded = Object.entries(zones).find(([, records]) => records !== undefined)?.[0];
  await untilAnswering(nsd, address, loaded ?? '');
  return {
    server: `${address}:${PORT}`,
    async load(zone, records) {
      await write(zone, records);
      nsd.signal('SIGHUP');
    },
  };
}

function zoneFile(directory: string, zone: string): string {
  return join(directory, `${zone}.zone`);
}

const START_OF_ZONE = `@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1`;

/** Asks `authority` for each of the zones, and can reach nothing else. Answers `address:port` when it serves. */
export async function startUnbound(
  lifetime: Lifetime,
  address: string,
  authority: Nsd,
  zones: readonly string[],
): Promise<string> {
  const directory = await makeDirectory(lifetime, 'unbound');
  const file = join(directory, 'unbound.conf');
  const stubs = zones.map(
    (zone) => `stub-zone:\n  name: "${zone}."\n  stub-addr: ${authority.server.replace(':', '@')}`,
  );
  await writeFile(
    file,
    `server:
  interface: ${address}
  port: ${PORT}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: "${directory}/unbound.pid"
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  # Of the names that RFC 6761 sets aside, unbound would answer for these by itself.
  local-zone: "test." nodefault
remote-control:
  control-enable: no
${stubs.join('\n')}
`,
  );
  const unbound = await start('/usr/sbin/unbound', ['-d', '-c', file]);
  lifetime.defer(() => unbound.kill());
  await untilAnswering(unbound, address, zones[0] ?? '');
  return `${address}:${PORT}`;
}

async function untilAnswering(server: Running, address: string, zone: string): Promise<void> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`${address}:${PORT}`]);
  await until(
    `the name server at ${address} knows ${zone}`,
    async () => {
      if (server.hasEnded()) throw new Error(`the name server ended\n${server.output()}`);
      return await resolver.resolveSoa(zone).catch(() => undefined);
    },
    server.output,
  );
}
