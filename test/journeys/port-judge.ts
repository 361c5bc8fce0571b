// The verdict over a trial that has come to rest: every guarantee that can be read from the ledger, the log, the
// destinations, the queue and the spool. Answers with sentences, none when all is well.

import { scanContent } from '../../shared/message/content.ts';
import { type EndingKind, isDeliveryItem, type LedgerItem } from '../../shared/queue/delivery.ts';
import type { RecordType } from '../../shared/records/records.ts';
import { type Client, type Letter, type Owner, SENDER } from './port-client.ts';
import type { StrikeBook } from './port-strikes.ts';
import { TRACE_HOST, type Trial } from './port-trial.ts';

export interface Expectation {
  /** How recipients end that are not simply delivered. */
  readonly endings?: Readonly<Record<string, EndingKind>>;
  /** The destination cuts the connection after the final dot, without keeping anything. */
  readonly doubtAtDestination?: boolean;
  /** Frames of uploads stay until the bucket lifecycle ends them: nothing in the ledger points at them. */
  readonly leavesFrames?: boolean;
  /** Transfers of one id that race each other may leave content that the lifecycle ends. */
  readonly mayLeaveContent?: boolean;
}

const RECORD_OF: Readonly<Record<EndingKind, RecordType>> = {
  delivered: 'Delivery',
  bounced: 'Bounce',
  expired: 'Expiration',
  cancelled: 'AdminBounce',
  withdrawn: 'Withdrawn',
};

/** Whose letters these are, and who answers for each. */
export type Account = Pick<Client, 'letters' | 'owners'>;

export async function judge(
  trial: Trial,
  client: Account,
  expected: Expectation,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const letter of client.letters.values()) {
    const owner = client.owners.get(letter.id) ?? 'unknown';
    const items = await trial.items(letter.id);
    faults.push(...judgeItems(items), ...judgeOwner(trial, letter, owner, items, expected));
  }
  faults.push(...judgeItems(await trial.reports()));
  faults.push(...trial.book.overlaps.map((address) => `I3: two attempts at once for ${address}`));
  for (const notice of trial.notices) {
    if (notice.code === 'bug' || notice.code === 'content-missing' || notice.code === 'poisoned') {
      faults.push(`a notice says ${notice.code}: ${notice.message} ${JSON.stringify(notice.detail)}`);
    }
  }
  faults.push(...(await judgeContent(trial, expected)));
  return faults;
}

/** Nothing is open, nothing stays without end. */
function judgeItems(items: readonly LedgerItem[]): readonly string[] {
  return items.flatMap((item) => {
    const name = `${item.key.id} chunk ${item.key.chunk}`;
    const { delivery } = item;
    const faults: string[] = [];
    if (delivery !== undefined && delivery.state !== 'finished') {
      faults.push(`I2, I9: ${name} is ${delivery.state} for ever: ${JSON.stringify(delivery)}`);
    }
    if (item.ttlAtMs === undefined) faults.push(`${name} is kept without end`);
    return faults;
  });
}

function judgeOwner(
  trial: Trial,
  letter: Letter,
  owner: Owner,
  items: readonly LedgerItem[],
  expected: Expectation,
): readonly string[] {
  const commit = items.find((item) => item.key.chunk === 0);
  const committed = commit?.commit?.state === 'committed';
  if (owner === 'receiver' && !committed)
    return [`I1: ${letter.id} is the receiver's, and no commit is in the ledger`];
  const covered = items
    .filter(isDeliveryItem)
    .filter(
      (item) => item.generation === commit?.generation && item.key.chunk <= (commit?.commit?.chunks ?? 0),
    );
  const ours = committed && owner !== 'client';
  return letter.recipients.flatMap((address) => {
    const entries = covered.flatMap((item) => item.delivery.recipients.filter((r) => r.address === address));
    const copies = copiesOf(trial, letter, address);
    if (!ours) {
      const delivered = entries.some(({ ending }) => ending?.kind === 'delivered');
      return copies > 0 || delivered
        ? [`${letter.id} for ${address} is the client's, and arrived ${copies} times`]
        : [];
    }
    // Recipients that a lost request would have added are nobody's promise.
    if (entries.length === 0 && owner === 'unknown') return [];
    const kind = expected.endings?.[address] ?? 'delivered';
    const faults: string[] = [];
    const [entry] = entries;
    if (entries.length !== 1) faults.push(`I2: ${address} stands in ${entries.length} chunks`);
    if (entry?.ending?.kind !== kind) {
      faults.push(`I2: ${letter.id} for ${address} ended ${entry?.ending?.kind}, not ${kind}`);
    }
    faults.push(...judgeReports(trial, letter, address, kind));
    const least = kind === 'delivered' ? 1 : 0;
    const most = least + (kind === 'delivered' ? allowedDoubles(trial.book, address) : 0);
    if (copies < least || copies > most) {
      faults.push(`${least > copies ? 'lost' : 'I6'}: ${letter.id} arrived ${copies} times at ${address}`);
    }
    const told = new Set(
      trial.records
        .filter((record) => record.id === letter.id && record.recipient === address)
        .filter((record) => record.type === RECORD_OF[kind])
        .map((record) => record.event_id),
    );
    const toldEnough = told.size === 1 || (told.size === 0 && diedUntold(trial.book, address));
    if (!toldEnough) faults.push(`I2: the log tells ${told.size} endings of ${letter.id} for ${address}`);
    return faults;
  });
}

/** I9: who failed stands in one report that reached the sender, if one was wanted; all others stand in none. */
function judgeReports(trial: Trial, letter: Letter, address: string, kind: EndingKind): readonly string[] {
  const { sender = SENDER } = letter.fields ?? {};
  const wanted = sender !== '' && (letter.notify === undefined || letter.notify.includes('FAILURE'));
  const expected = wanted && (kind === 'bounced' || kind === 'expired') ? 1 : 0;
  const told = new Set(
    trial.stage.arrived().flatMap((mail) => {
      const text = mail.content.toString('latin1');
      const failed = text.split('\r\n\r\n').some((group) => {
        const lines = group.split('\r\n');
        return [`Final-Recipient: rfc822; ${address}`, 'Action: failed', `Final-Log-ID: ${letter.id}`].every(
          (line) => lines.includes(line),
        );
      });
      return mail.sender === '' && failed ? (/^Message-ID: .*$/m.exec(text)?.[0] ?? []) : [];
    }),
  );
  return told.size === expected
    ? []
    : [`I9: ${told.size} reports tell that ${letter.id} failed for ${address}, not ${expected}`];
}

/** How often the letter's octets came for the address; octets that differ are counted as none. */
function copiesOf(trial: Trial, letter: Letter, address: string): number {
  const { sha256 } = scanContent(letter.content, TRACE_HOST);
  return trial.stage
    .arrived()
    .filter((mail) => mail.recipients.includes(address))
    .filter((mail) => {
      const trace = /^Received: .*\r\n(?:[\t ].*\r\n)*/.exec(mail.content.toString('latin1'))?.[0] ?? '';
      const traced = trace.includes(`by ${TRACE_HOST}`) && trace.includes(`XFER id ${letter.id};`);
      return traced && scanContent(mail.content.subarray(trace.length), 'other.example').sha256 === sha256;
    }).length;
}

/**
 * I6: one more copy for each time that the destination had taken a message and the ledger never heard of it: for a
 * crash, for a ledger that took no write until the function's end, or since the reply to the final dot was lost.
 */
function allowedDoubles({ trace }: StrikeBook, address: string): number {
  const unsettled = trace.filter((call, index) => {
    const about = call.name === 'smtp.transact' && call.recipients.includes(address);
    if (!about || !call.applied) return false;
    if (call.struck === 'unanswered') return true;
    const rest = trace.slice(index).filter(({ run }) => run === call.run);
    const writes = rest.filter(
      ({ name, recipients }) => name === 'ledger.write' && recipients.includes(address),
    );
    const died = trace.some(({ run, struck }) => run === call.run && struck?.startsWith('crash'));
    // The ledger was out of order until the function's end.
    const refused = writes.some(({ struck }) => struck !== undefined);
    return (died || refused) && !writes.some(({ applied }) => applied);
  });
  return unsettled.length;
}

/**
 * Known limit: of several recipients some ended, the process died before it told the log, and the others stay open:
 * the ledger knows, the log never hears of it.
 */
export function diedUntold({ trace }: StrikeBook, address: string): boolean {
  return trace.some(
    ({ name, recipients, struck }) =>
      name === 'ledger.write' &&
      struck?.startsWith('crash') === true &&
      recipients.length > 1 &&
      recipients.includes(address),
  );
}

async function judgeContent(trial: Trial, expected: Expectation): Promise<readonly string[]> {
  const { objects, counted } = await trial.stage.leftovers();
  // What a request leaves that died or was in doubt is the lifecycle's: nothing in the ledger tells of it.
  const { trace } = trial.book;
  // Deliver is one that accepts when it pays a report.
  const accepts = new Set(trace.filter(({ name }) => name === 'spool.put').map(({ run }) => run));
  const struck = trace.some(
    (call) => call.struck !== undefined && (call.role === 'receive' || accepts.has(call.run)),
  );
  if (struck || expected.mayLeaveContent === true) return [];
  const unexplained =
    expected.leavesFrames === true ? objects.filter((key) => !key.endsWith('/frames')) : objects;
  return [
    ...unexplained.map((key) => `${key} stays in the spool`),
    ...counted.map((key) => `${key} is still counted`),
  ];
}
