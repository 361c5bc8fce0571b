// The SMTP part's figures as tables, and beside the targets.

import { type Figure, format, formatFigures, formatTable, median } from '../figures.ts';
import { FAR_MS, type LargeRow, type Role, type Row, type SmtpResults, WARM } from './measure.ts';

/** Of what the client is to reach. */
const TARGETS = {
  roundTrips: 1,
  farToNodemailer: 1.9,
  farToServers: 2.5,
  nearToNodemailer: 1.5,
  cpuMs: 0.15,
  largeMb: 16,
};

export function formatSmtp(results: SmtpResults): string {
  const { near, far, farToPostfix, roundTripMs, absent } = results;
  return [
    'Near: 0 ms, to smtp-sink; one after another; without the wire in many short rounds of their own',
    formatRows(near),
    `Far: ${FAR_MS} ms (${format(roundTripMs, 1)} measured), to smtp-sink; all at once`,
    formatRows(far),
    ...(farToPostfix.length === 0
      ? []
      : [`Far: ${FAR_MS} ms, to Postfix's smtpd; at the same time`, formatRows(farToPostfix)]),
    ...absent.map(({ name, because }) => `SKIPPED: ${name}: ${because}`),
    'Targets; ratios are those of the same round',
    formatFigures(targetFigures(results)),
    ...(absent.length === 0
      ? []
      : [
          `NOT MEASURED: far, over the better of Postfix and Exim; target at least ${TARGETS.farToServers} times`,
        ]),
    `Rates and round trips begin with the final reply of message ${WARM}. CPU time is that of all of a contender's\n` +
      'processes and messages: mail servers read, log and empty a queue in it, which our client and nodemailer do not.',
  ].join('\n\n');
}

function formatRows(rows: readonly Row[]): string {
  return formatTable(
    ['', 'messages', 'a second', 'rounds', 'round trips', 'connections', 'ms CPU', 'without wire', 'ms CPU'],
    rows.map(({ name, messages, samples, direct }) => {
      const rates = samples.map(({ perSecond }) => perSecond);
      const digits = median(rates) < 100 ? 1 : 0;
      return [
        name,
        format(messages, 0),
        format(median(rates), digits),
        `${format(Math.min(...rates), digits)} to ${format(Math.max(...rates), digits)}`,
        format(median(samples.map(({ roundTrips }) => roundTrips)), 2),
        format(median(samples.map(({ connections }) => connections)), 0),
        format(median(samples.map(({ cpuMs }) => cpuMs)), 2),
        ...(direct.length === 0
          ? []
          : [
              format(median(direct.map(({ perSecond }) => perSecond)), 0),
              format(median(direct.map(({ cpuMs }) => cpuMs)), 3),
            ]),
      ];
    }),
  );
}

function targetFigures({ near, far, farToPostfix, large }: SmtpResults): readonly Figure[] {
  const ours = rowOf(far, 'ours');
  const direct = (role: Role) => rowOf(near, role)?.direct ?? [];
  const servers = [rowOf(far, 'postfix'), rowOf(far, 'exim')].flatMap((row) => row ?? []);
  const better = servers.toSorted((a, b) => middleRate(b) - middleRate(a))[0];
  const roundTrips = (what: string, row: Row | undefined): Figure => ({
    what: `round trips a message, ${what}`,
    unit: '',
    digits: 2,
    // To the digits that are shown.
    rounds: (row?.samples ?? []).map((sample) => Math.round(sample.roundTrips * 100) / 100),
    target: { bound: 'at most', value: TARGETS.roundTrips },
  });
  const ratio = (what: string, a: readonly Rate[], b: readonly Rate[], least?: number): Figure => ({
    what,
    unit: 'times',
    digits: 2,
    rounds: a.map(({ perSecond }, round) => perSecond / (b[round]?.perSecond ?? Number.NaN)),
    ...(least === undefined ? {} : { target: { bound: 'at least', value: least } }),
  });
  const nodemailer = rowOf(far, 'nodemailer')?.samples ?? [];
  return [
    roundTrips('our client, far', ours),
    roundTrips('our whole way, far', rowOf(far, 'deliveries')),
    ...(farToPostfix.length === 0
      ? []
      : [roundTrips('our client, far, to smtpd', rowOf(farToPostfix, 'ours'))]),
    ratio('far, over nodemailer', ours?.samples ?? [], nodemailer, TARGETS.farToNodemailer),
    ...(better === undefined
      ? []
      : [
          ratio(
            `far, over ${better.name}, ${servers.length === 2 ? 'the better of 2' : 'alone'}`,
            ours?.samples ?? [],
            better.samples,
            // Over the better of both: with one of them it is neither met nor missed.
            servers.length === 2 ? TARGETS.farToServers : undefined,
          ),
        ]),
    ratio(
      'near, over nodemailer, without wire',
      direct('ours'),
      direct('nodemailer'),
      TARGETS.nearToNodemailer,
    ),
    ratio(
      'near, over nodemailer, by wire',
      rowOf(near, 'ours')?.samples ?? [],
      rowOf(near, 'nodemailer')?.samples ?? [],
    ),
    {
      what: 'CPU, our client, near',
      unit: 'ms a message',
      digits: 3,
      rounds: direct('ours').map(({ cpuMs }) => cpuMs),
      target: { bound: 'at most', value: TARGETS.cpuMs },
    },
    ...large.map(largeFigure),
  ];
}

type Rate = Pick<Row['samples'][number], 'perSecond'>;

function largeFigure({ role, sink, extraBytes }: LargeRow): Figure {
  return {
    what: `25 MB, ${role === 'ours' ? 'our client' : role}, to a ${sink} sink`,
    unit: 'MB more memory',
    digits: 1,
    rounds: extraBytes.map((bytes) => bytes / 2 ** 20),
    ...(role === 'ours' ? { target: { bound: 'at most', value: TARGETS.largeMb } } : {}),
  };
}

function rowOf(rows: readonly Row[], role: Role): Row | undefined {
  return rows.find((row) => row.role === role);
}

function middleRate({ samples }: Row): number {
  return median(samples.map(({ perSecond }) => perSecond));
}
