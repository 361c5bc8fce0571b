// What `npm start` says once it runs: where everything is, and how to send a first message.

import { formatListen } from '../shared/config/listen.ts';
import type { Stack } from './stack.ts';

export interface BannerFacts {
  readonly speed: number;
  readonly dataDirectory: string | undefined;
  /** Name servers and port of real deliveries; undefined: the sink. */
  readonly outside: string | undefined;
  /** A credential's name for the examples; undefined: the API is open. */
  readonly credential: string | undefined;
}

export function banner(stack: Stack, facts: BannerFacts): string {
  const rows = tableRows(stack, facts);
  const width = Math.max(...rows.map(([, where]) => where.length));
  const table = rows.map(([what, where, note]) =>
    `  ${what.padEnd(6)} ${where.padEnd(width)}  ${note}`.trimEnd(),
  );
  return [
    '',
    'delay-xfer is running. Stop it with Ctrl-C.',
    '',
    ...table,
    '',
    ...examples(stack, facts),
    '',
  ].join('\n');
}

function tableRows(stack: Stack, facts: BannerFacts): readonly (readonly [string, string, string])[] {
  const apis = stack.apiAddresses.map((address, index) => [
    index === 0 ? 'API' : '',
    `http://${formatListen(address)}`,
    index === 0 ? (facts.credential === undefined ? 'no credentials asked' : 'Basic credentials asked') : '',
  ]);
  const sidecars = (stack.sidecar?.addresses ?? []).map(({ address, port }, index) => [
    index === 0 ? 'SMTP' : '',
    formatListen({ host: address, port }),
    index === 0 ? 'the sidecar: takes mail and hands it over' : '',
  ]);
  const destinations =
    stack.sink === undefined || stack.dns === undefined
      ? [['MX', facts.outside ?? '', 'real deliveries']]
      : [
          ['MX', `${stack.sink.hosts[0]?.address}:${stack.sink.port}`, 'the destinations, see --help'],
          ['DNS', `${stack.dns.host}:${stack.dns.port}`, 'their name server, for names in .test'],
        ];
  const speed =
    facts.speed === 1
      ? ['speed', '1', 'mail from the sidecar is first tried after 60 to 120 s']
      : ['speed', String(facts.speed), `waits are ${facts.speed} times shorter, none under a second`];
  const data = [
    'data',
    facts.dataDirectory ?? 'in memory',
    facts.dataDirectory === undefined ? 'gone at the end' : '',
  ];
  return [...apis, ...sidecars, ...destinations, speed, data].map(([what = '', where = '', note = '']) => [
    what,
    where,
    note,
  ]);
}

function examples(stack: Stack, facts: BannerFacts): string[] {
  const recipient = stack.sink === undefined ? 'you@example.net' : 'you@defer-twice.test';
  const login = facts.credential === undefined ? '' : `-u ${facts.credential}:PASSWORD `;
  const smtp = stack.sidecar?.addresses[0];
  const byMail =
    smtp === undefined
      ? []
      : [
          'Send a message through the sidecar:',
          `  swaks --server ${formatListen({ host: smtp.address, port: smtp.port })} --from me@sender.test --to ${recipient}`,
        ];
  return [
    ...byMail,
    'Send one to the API:',
    `  printf 'Subject: hello\\n\\nIt works.\\n' | curl -sS ${login}${stack.apiUrl}delay_message \\`,
    `    -H 'Content-Type: message/rfc822' -H 'X-Xfer-Sender: me@sender.test' -H 'X-Xfer-Recipients: ${recipient}' \\`,
    '    --data-binary @-',
  ];
}
