// A course in memory on which runs race each other, and what its racers learnt: who answers for each message, as the
// answers have it. Of runs that go on at the same time a withdrawal has the last word, since its bar outlives them.

import { type Letter, type Owner, transferOf, uploadTo, verdictsOf } from './port-client.ts';
import type { Account } from './port-judge.ts';
import type { ReceivedTimer } from './port-memory.ts';
import { createMemoryStage, type MemoryStage } from './port-stage.ts';
import { dyingBefore, type Strike } from './port-strikes.ts';
import { createTrial, type Trial, type Turn } from './port-trial.ts';

export interface Racer {
  readonly name: string;
  readonly run: (turn: Turn) => Promise<void>;
}

export interface Course extends Account {
  readonly trial: Trial;
  readonly stage: MemoryStage;
  /** One withdrawal said that it was done, another at the same time that it came too late. */
  readonly contradictions: readonly string[];
  /** What is asked from here on is asked after everything that was answered before. */
  newRound(): void;
  hand(name: string, letter: Letter): Racer;
  /** A transfer that dies before its commit is written. */
  breakOff(letter: Letter): Promise<void>;
  upload(letter: Letter): Promise<void>;
  withdraw(name: string, id: string): Racer;
  deliver(name: string, timers: readonly ReceivedTimer[]): Racer;
  release(name: string): Racer;
}

export function createCourse(
  options: {
    readonly strikes?: readonly Strike[];
    readonly seed?: number;
    readonly lookbackMs?: number;
  } = {},
): Course {
  const { lookbackMs } = options;
  const stage = createMemoryStage(lookbackMs === undefined ? {} : { lookbackMs });
  const trial = createTrial('race', stage, options);
  const letters = new Map<string, Letter>();
  const owners = new Map<string, Owner>();
  /** Recipients for whom a yes was read and stands. */
  const promised = new Map<string, ReadonlySet<string>>();
  const withdrawnNow = new Set<string>();
  const tooLateNow = new Set<string>();
  const contradictions: string[] = [];
  /** A yes beside a withdrawal in doubt says nothing: it may have come before. */
  const doubtfulNow = new Set<string>();

  function answered(letter: Letter, verdict: 'yes' | 'no' | undefined): void {
    const { id } = letter;
    if (withdrawnNow.has(id)) return;
    if (doubtfulNow.has(id)) {
      owners.set(id, 'unknown');
      return;
    }
    if (verdict === 'yes') {
      promised.set(id, new Set([...(promised.get(id) ?? []), ...letter.recipients]));
      owners.set(id, 'receiver');
    } else if (owners.get(id) !== 'receiver' && (verdict === undefined || !owners.has(id))) {
      owners.set(id, 'unknown');
    }
    // What nobody promised may be delivered or not.
    const promise = promised.get(id);
    letters.set(id, promise === undefined ? letter : { ...letter, recipients: [...promise] });
  }

  function withdrawn(id: string, status: number | undefined): void {
    if (status === 200) {
      withdrawnNow.add(id);
      if (tooLateNow.has(id)) contradictions.push(`I2: ${id} was withdrawn, and could not be withdrawn`);
      promised.delete(id);
      owners.set(id, 'client');
    } else if (status === 409) {
      tooLateNow.add(id);
      if (withdrawnNow.has(id)) contradictions.push(`I2: ${id} could not be withdrawn, and was`);
      owners.set(id, promised.has(id) ? 'receiver' : 'unknown');
    } else {
      doubtfulNow.add(id);
      if (owners.get(id) !== 'receiver') return;
      promised.delete(id);
      owners.set(id, 'unknown');
    }
  }

  return {
    trial,
    stage,
    letters,
    owners,
    contradictions,
    newRound() {
      withdrawnNow.clear();
      tooLateNow.clear();
      doubtfulNow.clear();
    },
    hand: (name, letter) => ({
      name,
      async run(turn) {
        trial.know(letter.id, letter.recipients.length);
        if (!letters.has(letter.id)) letters.set(letter.id, letter);
        const answer = await trial.request(transferOf([letter]), turn);
        answered(letter, verdictsOf(answer).get(letter.id));
      },
    }),
    withdraw: (name, id) => ({
      name,
      async run(turn) {
        const answer = await trial.request({ method: 'DELETE', path: `/delay_message/${id}` }, turn);
        withdrawn(id, answer?.status);
      },
    }),
    async breakOff(letter) {
      trial.know(letter.id, letter.recipients.length);
      await trial.request(transferOf([letter]), dyingBefore(trial.book, 'receive', 'ledger.write', 3));
    },
    upload: async (letter) => void (await uploadTo(trial, letter)),
    deliver: (name, timers) => ({ name, run: (turn) => trial.deliver(timers, turn) }),
    release: (name) => ({ name, run: (turn) => trial.release(turn) }),
  };
}
