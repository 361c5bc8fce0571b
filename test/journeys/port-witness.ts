// What can be seen only while a trial in memory goes on: that a yes is said when everything is in place (I1), that
// the last timer of a delivery goes only when it has ended, in the ledger and in the log (I2), and afterwards that
// old timers start nothing (I4).

import { isDeliveryItem } from '../../shared/queue/delivery.ts';
import type { Timer } from '../../shared/queue/ports.ts';
import { parseTimer } from '../../shared/queue/timer.ts';
import { isCommitted } from '../../shared/queue/wake.ts';
import type { Letter } from './port-client.ts';
import { diedUntold } from './port-judge.ts';
import type { Witness } from './port-play.ts';
import type { MemoryStage } from './port-stage.ts';
import { CREDENTIAL, type Trial } from './port-trial.ts';

const HOUR_MS = 3_600_000;

export function witnessed(
  stage: MemoryStage,
  options: { readonly timersAreLost: boolean },
): { readonly stage: MemoryStage; readonly witness: Witness } {
  const { stores } = stage;
  const faults: string[] = [];
  let trial: Trial | undefined;

  const timersOf = (wanted: Pick<Timer, 'key' | 'generation'>) =>
    stores
      .queued()
      .map(parseTimer)
      .filter(
        (timer) =>
          timer?.key.id === wanted.key.id &&
          timer.key.chunk === wanted.key.chunk &&
          timer.generation === wanted.generation,
      );

  async function onYes({ id, content, recipients }: Letter): Promise<void> {
    const items = await stores.ledger.readMessage({ credential: CREDENTIAL, id });
    const commit = items.find(({ key }) => key.chunk === 0);
    const ours = items.filter(isDeliveryItem).filter((item) => isCommitted(item, commit));
    for (const address of recipients) {
      const item = ours.find(({ delivery }) => delivery.recipients.some((one) => one.address === address));
      if (item === undefined) {
        faults.push(`I1: a yes for ${address}, who is not in the ledger`);
        continue;
      }
      const { state, parked, facts } = item.delivery;
      if (state !== 'open') continue;
      const object = stores.object(facts.content.key);
      const { offset } = facts.content;
      const stored = object?.subarray(offset, offset + facts.sizeBytes);
      if (stored === undefined || !content.equals(stored)) {
        faults.push(`I1: a yes for ${address}, whose content is not in the spool`);
      }
      if (!parked && !options.timersAreLost && timersOf(item).length === 0) {
        faults.push(`I1: a yes for ${address}, who has no timer`);
      }
    }
  }

  async function onDelete(body: string | undefined): Promise<void> {
    const timer = parseTimer(body ?? '');
    if (timer === undefined || options.timersAreLost || timersOf(timer).length > 0) return;
    const item = await stores.ledger.readItem(timer.key);
    const commit = await stores.ledger.readItem({ ...timer.key, chunk: 0 });
    if (item === undefined || !isDeliveryItem(item) || item.generation !== timer.generation) return;
    if (!isCommitted(item, commit)) return;
    const { state, parked, recipients } = item.delivery;
    if (state === 'open' && !parked) faults.push(`I2: the only timer of ${timer.key.id} was deleted`);
    if (state !== 'finished' && state !== 'owing') return;
    for (const { address } of recipients) {
      const told = trial?.records.some(
        ({ id, recipient, type }) => id === timer.key.id && recipient === address && ENDINGS.has(type),
      );
      const excused = trial !== undefined && diedUntold(trial.book, address);
      if (told !== true && !excused) {
        faults.push(
          `I2: the last timer of ${timer.key.id} was deleted, and the log lacks the end for ${address}`,
        );
      }
    }
  }

  async function testify(): Promise<readonly string[]> {
    if (trial === undefined) return ['nobody was seen'];
    for (let hours = 0; hours < 13 && stores.queued().length > 0; hours += 1) await trial.pass(HOUR_MS);
    const left = stores.queued().map((body) => `a timer is left: ${body}`);
    const before = stage.arrived().length;
    for (const body of new Set(stores.everSent())) stores.enqueue(body);
    await trial.deliverAll();
    const after = stage.arrived().length > before ? ['I4: attempted after the end'] : [];
    return [...new Set(faults), ...left, ...after];
  }

  const deleting = async (receipt: string) => {
    const body = stores.bodyOf(receipt);
    await stores.timers.delete(receipt);
    await onDelete(body);
  };
  return {
    stage: {
      ...stage,
      ports: { ...stage.ports, timers: { ...stage.ports.timers, delete: deleting } },
      deleteTimers: async (receipts) => {
        for (const receipt of receipts) await deleting(receipt);
      },
    },
    witness: {
      meet(met) {
        trial = met;
      },
      onYes,
      testify,
    },
  };
}

const ENDINGS: ReadonlySet<string> = new Set([
  'Delivery',
  'Bounce',
  'Expiration',
  'AdminBounce',
  'Withdrawn',
]);
