// `delay-xfer sidecar`: runs the sidecar in the foreground.

import { type ListenAddress, parseListen } from '../shared/config/listen.ts';
import { runSidecar } from '../sidecar/program.ts';
import { type Command, UsageError } from './command.ts';

export const SIDECAR: Command = {
  name: 'sidecar',
  operands: '--config FILE [FILE…] [--listen ADDRESS:PORT…] [--verbose] [--check]',
  summary: 'runs the sidecar beside an MTA',
  text: `
Takes mail that an MTA could not deliver yet, by SMTP, LMTP or HTTP, and hands it over to a receiver by HTTP.

Logs go to standard output, one line of JSON each; faults go to standard error. SIGHUP reads the files again,
SIGTERM finishes what is under way and stops. docs/sidecar.md tells how to put it beside an MTA.`,
  options: [
    {
      name: 'config',
      short: 'c',
      value: 'FILE…',
      multiple: true,
      says: 'configuration files, in this order; later ones win',
    },
    {
      name: 'listen',
      value: 'ADDRESS:PORT',
      multiple: true,
      says: 'where to take mail by SMTP, instead of the ESMTP_Listener stanzas;\nwithout either 127.0.0.1:2525',
    },
    {
      name: 'verbose',
      says: 'log the dialogue with clients and receivers as well: no content, no secrets',
    },
    { name: 'check', says: 'say what the configuration would do, and stop' },
  ],
  async run(given, terminal) {
    const files = [...given.values('config'), ...given.operands];
    if (files.length === 0) throw new UsageError('--config FILE is needed');
    const listen = given.values('listen').map(readListen);
    const [check, verbose] = [given.flag('check'), given.flag('verbose')];
    return await runSidecar({ files, listen, check, verbose }, terminal);
  },
};

function readListen(text: string): ListenAddress {
  const address = parseListen(text);
  if (address === undefined) throw new UsageError(`--listen ${text} is no address and port`);
  return address;
}
