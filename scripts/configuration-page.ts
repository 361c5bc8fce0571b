// The page docs/configuration.md, out of the option table: whoever changes a row runs `npm run docs`, and a test
// fails while the page is stale.

import { takesOf } from '../shared/config/assignment.ts';
import type { Option, Scope } from '../shared/config/option.ts';
import { OPTIONS } from '../shared/config/options.ts';
import { DELIVERY_OPTIONS } from '../shared/config/options-delivery.ts';
import { LISTENER_OPTIONS } from '../shared/config/options-listeners.ts';
import { REPORT_OPTIONS } from '../shared/config/options-reports.ts';
import { RETRY_OPTIONS } from '../shared/config/options-retry.ts';
import { ROUTING_OPTIONS } from '../shared/config/options-routing.ts';
import { TLS_OPTIONS } from '../shared/config/options-tls.ts';
import { TRANSFER_OPTIONS } from '../shared/config/options-transfer.ts';
import { LANGUAGE } from './configuration-language.ts';

type Row = Option<unknown>;

interface Topic {
  readonly title: string;
  readonly rows: readonly Row[];
}

const TOPICS: readonly Topic[] = [
  { title: 'Handing mail over', rows: rowsOf(TRANSFER_OPTIONS) },
  { title: 'Listeners', rows: rowsOf(LISTENER_OPTIONS) },
  { title: 'Retries and expiry', rows: rowsOf(RETRY_OPTIONS) },
  { title: 'Where mail goes', rows: rowsOf(ROUTING_OPTIONS) },
  { title: 'Sessions, limits and content', rows: rowsOf(DELIVERY_OPTIONS) },
  { title: 'TLS of deliveries', rows: rowsOf(TLS_OPTIONS) },
  { title: 'Replies and reports', rows: rowsOf(REPORT_OPTIONS) },
  { title: 'Scripts', rows: [OPTIONS.source] },
];

export function configurationPage(): string {
  return [LANGUAGE, OPTIONS_INTRODUCTION, ...TOPICS.map(topicText), deviations(), ignored()].join('\n');
}

function rowsOf(table: Readonly<Record<string, Row>>): readonly Row[] {
  return Object.values(table);
}

const OPTIONS_INTRODUCTION = `## Options

**Where** an option may stand: **T** the top of a file, **D** a Domain, **B** a Binding or Binding_Group, **H** a Host,
**L** a listener or a Listen in it, **S** a Script. **Side**: *sends* is the sidecar, *receives* the stack that keeps
and delivers mail; what is marked *receives, attempts* counts for the sidecar as well where a listener has
\`Attempt_First\`. *Ours* means that Momentum has no such option.
`;

function topicText({ title, rows }: Topic): string {
  return `### ${title}

| Option | Takes | Default | In Momentum | Where | Side | Meaning |
| --- | --- | --- | --- | --- | --- | --- |
${rows.map(rowText).join('\n')}
`;
}

function rowText(row: Row): string {
  const { name, meaning, deviation, momentum, withoutEffect } = row;
  const cells = [
    `\`${name}\``,
    takesOf(row),
    defaultOf(row),
    momentum ?? '*ours*',
    row.scopes.map((scope) => LETTERS[scope]).join(' '),
    sideOf(row),
    [
      meaning,
      ...(deviation === undefined ? [] : [`*Differs:* ${deviation}`]),
      ...(withoutEffect === undefined ? [] : [`**${idleOf(withoutEffect)}**`]),
    ].join(' '),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const LETTERS: Record<Scope, string> = {
  global: 'T',
  domain: 'D',
  binding: 'B',
  host: 'H',
  listener: 'L',
  script: 'S',
};

function defaultOf({ default: value, defaultText, unit }: Row): string {
  if (defaultText !== undefined) return defaultText;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'none';
  const short = unit === 'seconds' ? ' s' : unit === 'milliseconds' ? ' ms' : '';
  return `\`${String(value)}\`${short}`;
}

function sideOf({ side, attempt }: Row): string {
  switch (side) {
    case 'sending':
      return 'sends';
    case 'receiving':
      return attempt ? 'receives, attempts' : 'receives';
    case 'both':
      return 'both';
  }
}

function idleOf(withoutEffect: NonNullable<Row['withoutEffect']>): string {
  if (typeof withoutEffect === 'string') return `Without effect: ${withoutEffect}.`;
  const { sending, receiving } = withoutEffect;
  return [
    ...(sending === undefined ? [] : [`Without effect on the sending side: ${sending}.`]),
    ...(receiving === undefined ? [] : [`Without effect on the receiving side: ${receiving}.`]),
  ].join(' ');
}

/** Defaults that are not Momentum's, side by side, with the reason. */
function deviations(): string {
  const rows = TOPICS.flatMap((topic) => topic.rows).filter((row) => {
    const { momentum, default: value } = row;
    const ours =
      row.defaultText ?? (Array.isArray(value) && value.length === 0 ? 'none' : String(value ?? 'none'));
    return momentum !== undefined && momentum !== ours && row.deviation !== undefined;
  });
  return `## Where defaults differ

A file that Momentum runs means the same here wherever it says what it wants; where it leaves that to the default, these
are different:

| Option | Here | In Momentum | Why |
| --- | --- | --- | --- |
${rows.map((row) => `| \`${row.name}\` | ${defaultOf(row)} | ${row.momentum} | ${row.deviation} |`).join('\n')}
`;
}

function ignored(): string {
  const rows = TOPICS.flatMap((topic) => topic.rows).filter(
    ({ withoutEffect }) => withoutEffect !== undefined,
  );
  return `## What has no effect

Accepted, and told when a file is read or checked:

${rows.map((row) => `* \`${row.name}\`: ${idleOf(row.withoutEffect ?? '').replace(/^Without effect: /, '')}`).join('\n')}
* Momentum's other options and its stanzas (\`Control_Listener\`, \`Pathway\`, \`Peer\`, \`ThreadPool\`, \`EC_Logger\` and
  their like) are read over with a warning, and so is \`name "instance" { … }\` of a module; what else neither of us knows
  is a fault.
`;
}
