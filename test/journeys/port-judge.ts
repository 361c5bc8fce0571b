// The verdict over a trial that has come to rest: every guarantee that can be read from the ledger, the log, the
// destinations, the queue and the spool. Answers with sentences, none when all is well.

import { scanContent } from '../../shared/message/content.ts';
import { type EndingKind, isDeliveryItem, type LedgerItem } from '../../shared/queue/delivery.ts';
import type { RecordType } from '../../shared/records/records.ts';
import type { Client, Letter, Owner } from './port-client.ts';
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
  faults.push(...trial.book.overlaps.map((address) => `I3: two attempts at once for ${address}`));
  for (const notice of trial.notices) {
    if (notice.code === 'bug' || notice.code === 'content-missing' || notice.code === 'poisoned') {
      faults.push(`a notice says ${notice.code}: ${notice.message} ${JSON.stringify(notice.detail)}`);
    }
  }
  faults.push(...(await judgeContent(trial, client, expected)));
  return faults;
}

/** Nothing is open, nothing stays without end. */
function judgeItems(items: readonly LedgerItem[]): readonly string[] {
  return items.flatMap((item) => {
    const name = `${item.key.id} chunk ${item.key.chunk}`;
    const { delivery } = item;
    const faults: string[] = [];
    if (delivery !== undefined && (delivery.state === 'open' || delivery.state === 'held')) {
      faults.push(`I2: ${name} is ${delivery.state} for ever: ${JSON.stringify(delivery)}`);
    }
    if (delivery?.state !== 'owing' && item.ttlAtMs === undefined) faults.push(`${name} is kept without end`);
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

async function judgeContent(
  trial: Trial,
  client: Account,
  expected: Expectation,
): Promise<readonly string[]> {
  const { objects, counted } = await trial.stage.leftovers();
  const needed = new Set<string>();
  for (const { id } of client.letters.values()) {
    for (const { delivery } of await trial.items(id)) {
      // Until a failure is reported its content is needed.
      if (delivery?.state === 'owing') needed.add(delivery.facts.content.key);
    }
  }
  const faults = [...needed]
    .filter((key) => !objects.includes(key))
    .map((key) => `I9: ${key} is gone, and owed`);
  // What a request leaves that died or was in doubt is the lifecycle's: nothing in the ledger tells of it.
  const struck = trial.book.trace.some((call) => call.role === 'receive' && call.struck !== undefined);
  if (struck || expected.mayLeaveContent === true) return faults;
  const left = objects.filter((key) => !needed.has(key));
  const unexplained = expected.leavesFrames === true ? left.filter((key) => !key.endsWith('/frames')) : left;
  return [
    ...faults,
    ...unexplained.map((key) => `${key} stays in the spool`),
    ...counted.filter((key) => !needed.has(key)).map((key) => `${key} is still counted`),
  ];
}
