// The races: which runs go on at the same time, what came before, and who answers for the message afterwards.

import { formatTimer, parseTimer } from '../../shared/queue/timer.ts';
import type { Letter } from './port-client.ts';
import { type Course, createCourse, type Racer } from './port-course.ts';
import { type Expectation, judge } from './port-judge.ts';
import type { ReceivedTimer } from './port-memory.ts';
import { type Choose, createConductor } from './port-orders.ts';
import { untilRest } from './port-play.ts';
import { dyingBefore } from './port-strikes.ts';

export interface Race {
  readonly title: string;
  readonly expected?: Expectation;
  /** What came before; answers the racers. */
  start(course: Course): Promise<readonly Racer[]>;
}

const MINUTE = 60_000;

function letter(recipients: readonly string[], more: Partial<Letter> = {}): Letter {
  const content = Buffer.from('From: a@sender.example\r\nSubject: race\r\n\r\n.dot\r\nend\r\n');
  return { id: 'race-m', recipients, content, ...more };
}

const ONE = letter(['ok+a@ok.test']);
const TWO = letter(['ok+a@ok.test', 'ok+b@mixed.test']);
const withThird = letter(['ok+a@ok.test', 'ok+b@mixed.test', 'ok+c@plain.test']);
const withFourth = letter(['ok+a@ok.test', 'ok+b@mixed.test', 'ok+d@utf8.test']);
const waiting = (one: Letter): Letter => ({ ...one, fields: { attempts: 1 } });

async function before(racer: Racer): Promise<void> {
  await racer.run(async () => {});
}

/** A second timer for the same delivery, under another mark. */
function twin(course: Course, timer: ReceivedTimer): ReceivedTimer {
  const parsed = parseTimer(timer.body);
  if (parsed === undefined) throw new Error('no timer');
  course.stage.stores.enqueue(formatTimer({ ...parsed, mark: 'other' }));
  const [second] = course.stage.stores.receive(course.stage.limits.queueVisibilityMs);
  if (second === undefined) throw new Error('no second timer');
  return second;
}

export const RACES: readonly Race[] = [
  {
    title: 'a transfer against its withdrawal',
    async start(course) {
      return [course.hand('transfer', ONE), course.withdraw('withdrawal', ONE.id)];
    },
  },
  {
    title: 'a transfer for two domains against its withdrawal',
    async start(course) {
      return [course.hand('transfer', TWO), course.withdraw('withdrawal', TWO.id)];
    },
  },
  {
    title: 'a transfer against its repeat',
    async start(course) {
      return [course.hand('first', ONE), course.hand('repeat', ONE)];
    },
  },
  {
    title: 'a transfer for two domains against its repeat',
    async start(course) {
      return [course.hand('first', TWO), course.hand('repeat', TWO)];
    },
  },
  {
    title: 'two repeats of an accepted transfer',
    async start(course) {
      await before(course.hand('before', waiting(TWO)));
      return [course.hand('first', waiting(TWO)), course.hand('second', waiting(TWO))];
    },
  },
  {
    title: 'two repeats with different new recipients',
    async start(course) {
      await before(course.hand('before', TWO));
      return [course.hand('third', withThird), course.hand('fourth', withFourth)];
    },
  },
  {
    title: 'a repeat with a new recipient against the withdrawal',
    async start(course) {
      await before(course.hand('before', waiting(ONE)));
      return [course.hand('wider', waiting(TWO)), course.withdraw('withdrawal', ONE.id)];
    },
  },
  {
    title: 'a repeat with a new recipient against the attempt',
    async start(course) {
      await before(course.hand('before', ONE));
      const timers = await course.stage.receiveTimers();
      return [course.hand('wider', TWO), course.deliver('attempt', timers)];
    },
  },
  {
    title: 'an upload with a new recipient against the end of the first delivery',
    expected: { leavesFrames: true },
    async start(course) {
      const up = (one: Letter): Letter => ({ ...one, upload: true });
      await course.upload(ONE);
      await before(course.hand('before', up(ONE)));
      const timers = await course.stage.receiveTimers();
      return [course.hand('wider', up(TWO)), course.deliver('attempt', timers)];
    },
  },
  {
    title: 'two timers of one delivery',
    async start(course) {
      await before(course.hand('before', ONE));
      const [timer] = await course.stage.receiveTimers();
      if (timer === undefined) throw new Error('no timer');
      return [course.deliver('one', [timer]), course.deliver('other', [twin(course, timer)])];
    },
  },
  {
    title: 'two timers of a delivery that is deferred',
    async start(course) {
      await before(course.hand('before', letter(['defer-1+a@ok.test', 'ok+b@ok.test'])));
      const [timer] = await course.stage.receiveTimers();
      if (timer === undefined) throw new Error('no timer');
      return [course.deliver('one', [timer]), course.deliver('other', [twin(course, timer)])];
    },
  },
  {
    title: 'the last two deliveries of one object',
    async start(course) {
      await before(course.hand('before', TWO));
      const [one, other] = await course.stage.receiveTimers();
      if (one === undefined || other === undefined) throw new Error('no timers');
      return [course.deliver('one', [one]), course.deliver('other', [other])];
    },
  },
  {
    title: 'an attempt against the withdrawal',
    async start(course) {
      await before(course.hand('before', ONE));
      const timers = await course.stage.receiveTimers();
      return [course.deliver('attempt', timers), course.withdraw('withdrawal', ONE.id)];
    },
  },
  {
    title: 'an attempt for one of two domains against the withdrawal',
    async start(course) {
      await before(course.hand('before', TWO));
      const [timer] = await course.stage.receiveTimers();
      if (timer === undefined) throw new Error('no timer');
      return [course.deliver('attempt', [timer]), course.withdraw('withdrawal', TWO.id)];
    },
  },
  {
    title: 'two withdrawals',
    async start(course) {
      await before(course.hand('before', waiting(TWO)));
      return [course.withdraw('one', TWO.id), course.withdraw('other', TWO.id)];
    },
  },
  {
    title: 'a withdrawal against the transfer that comes after the bar',
    async start(course) {
      await before(course.hand('before', waiting(TWO)));
      await before(course.withdraw('before', TWO.id));
      await course.trial.pass(61 * MINUTE);
      return [course.hand('again', TWO), course.withdraw('withdrawal', TWO.id)];
    },
  },
  {
    title: 'release of a parked delivery against its withdrawal',
    async start(course) {
      await before(course.hand('before', dueLater(course, TWO)));
      await course.stage.sleep(19.5 * MINUTE);
      return [course.release('release'), course.withdraw('withdrawal', TWO.id)];
    },
  },
  {
    title: 'release of a parked delivery against a repeat with a new recipient',
    async start(course) {
      await before(course.hand('before', dueLater(course, ONE)));
      await course.stage.sleep(19.5 * MINUTE);
      return [course.release('release'), course.hand('wider', TWO)];
    },
  },
  {
    title: 'release of a straggler against the attempt by its late timer',
    async start(course) {
      await before(course.hand('before', ONE));
      await course.stage.sleep(25 * MINUTE);
      return [course.release('release'), course.deliver('attempt', await course.stage.receiveTimers())];
    },
  },
  {
    title: 'release of a straggler against the deferral by its late timer',
    async start(course) {
      await before(course.hand('before', letter(['defer-1+a@ok.test'])));
      await course.stage.sleep(25 * MINUTE);
      return [course.release('release'), course.deliver('attempt', await course.stage.receiveTimers())];
    },
  },
  {
    title: 'two releases',
    async start(course) {
      await before(course.hand('before', dueLater(course, TWO)));
      await course.stage.sleep(19.5 * MINUTE);
      return [course.release('one'), course.release('other')];
    },
  },
  {
    title: 'the sweep of chunks without a commit against the repeat',
    async start(course) {
      await course.breakOff(TWO);
      await course.trial.pass(60 * MINUTE);
      await course.stage.sleep(5 * MINUTE);
      return [course.release('sweep'), course.hand('repeat', TWO)];
    },
  },
  {
    title: 'the sweep of parked chunks without a commit against the repeat',
    async start(course) {
      const later = dueLater(course, TWO);
      await course.breakOff(later);
      await course.stage.sleep(19.5 * MINUTE);
      return [course.release('release'), course.hand('repeat', later)];
    },
  },
  {
    title: 'a transfer of an upload against a shorter one of the same upload, and the sweep an hour later',
    expected: { leavesFrames: true, mayLeaveContent: true },
    async start(course) {
      const up = (recipients: readonly string[]): Letter => letter(recipients, { upload: true });
      const lasting = ['defer-6+a@ok.test', 'ok+b@mixed.test'];
      await course.upload(up(lasting));
      return [course.hand('longer', up(lasting)), course.hand('shorter', up(lasting.slice(0, 1)))];
    },
  },
  {
    title: 'two sweeps of chunks without a commit against a repeat for their recipients',
    expected: { mayLeaveContent: true },
    async start(course) {
      await course.breakOff(TWO);
      await before(course.hand('before', ONE));
      await course.trial.pass(60 * MINUTE);
      await course.stage.sleep(5 * MINUTE);
      return [course.release('one'), course.release('other'), course.hand('wider', TWO)];
    },
  },
  {
    title: 'two payments of one report',
    expected: { endings: { 'reject+a@ok.test': 'bounced' } },
    async start(course) {
      const [timer, same] = await owing(course, letter(['reject+a@ok.test']));
      return [course.deliver('one', [timer]), course.deliver('other', [same])];
    },
  },
  {
    title: 'the payment of a report against the attempt for another recipient',
    expected: { endings: { 'reject+a@ok.test': 'bounced' } },
    async start(course) {
      const [timer, same] = await owing(course, letter(['reject+a@ok.test', 'defer-1+c@ok.test']));
      await course.stage.sleep(10 * MINUTE);
      return [course.deliver('one', [timer]), course.deliver('other', [same])];
    },
  },
];

/** The first deliver dies before it pays. Its timer comes back, and once more. */
async function owing(course: Course, one: Letter): Promise<readonly [ReceivedTimer, ReceivedTimer]> {
  await before(course.hand('before', one));
  const { stage, trial } = course;
  await trial.deliver(await stage.receiveTimers(), dyingBefore(trial.book, 'deliver', 'spool.put', 1));
  await stage.sleep(20 * MINUTE);
  const [timer] = await stage.receiveTimers();
  if (timer === undefined) throw new Error('no timer');
  stage.stores.enqueue(timer.body);
  const [same] = await stage.receiveTimers();
  if (same === undefined) throw new Error('no second timer');
  return [timer, same];
}

function dueLater(course: Course, one: Letter): Letter {
  return { ...one, fields: { dueAt: new Date(course.stage.nowMs() + 20 * MINUTE).toISOString() } };
}

/** One run of a race in the order that `choose` gives, then time until all is settled. Answers the faults. */
export async function runRace(race: Race, choose: Choose): Promise<readonly string[]> {
  const course = createCourse();
  const racers = await race.start(course);
  const conductor = createConductor(choose);
  const order = await conductor.run(
    racers.map(
      ({ name, run }) =>
        () =>
          run(conductor.turnOf(name)),
    ),
  );
  await untilRest(course.trial);
  const faults = [...course.contradictions, ...(await judge(course.trial, course, race.expected ?? {}))];
  return faults.length === 0 ? [] : [...faults, `in this order: ${order.join(', ')}`];
}
