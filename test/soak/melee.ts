// Several rounds in which transfers, repeats, withdrawals, attempts and releases of one message go on at once, in an
// order drawn by the seed, with crashes and failures among them, and time between.

import type { Letter } from '../journeys/port-client.ts';
import { type Course, createCourse, type Racer } from '../journeys/port-course.ts';
import { judge } from '../journeys/port-judge.ts';
import { createConductor, seeded } from '../journeys/port-orders.ts';
import { untilRest } from '../journeys/port-play.ts';
import { CRASHES, FAULTS, landPending, type Role, type Strike } from '../journeys/port-strikes.ts';

const MINUTE = 60_000;
const PAUSES_MS = [0, 10_000, MINUTE, 3 * MINUTE, 17 * MINUTE, 22 * MINUTE, 61 * MINUTE, 130 * MINUTE];
/** Longer than all pauses together. */
const LOOKBACK_MS = 12.5 * 60 * MINUTE;
const RECIPIENTS = ['ok+a@ok.test', 'ok+b@mixed.test', 'defer-1+c@ok.test', 'ok+d@utf8.test'];

/** Answers what went wrong, and in which order everything happened. */
export async function melee(seed: number): Promise<readonly string[]> {
  const random = seeded(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(list: readonly T[], otherwise: T): T => list[below(list.length)] ?? otherwise;
  const course = createCourse({ strikes: drawStrikes(below), seed, lookbackMs: LOOKBACK_MS });
  const upload = below(8) === 0;
  const fields = pick([{}, { attempts: 1 }, { dueAt: '2026-11-22T10:20:00Z' }], {});
  const story: string[] = [];

  for (let round = 1 + below(4); round > 0; round -= 1) {
    course.newRound();
    const timers = await course.stage.receiveTimers();
    const racers = Array.from({ length: 2 + below(3) }, (_, index) => {
      const one = letter(1 + below(RECIPIENTS.length), upload, fields);
      return drawRacer(course, `${round}.${index}`, below(8), one, timers);
    });
    if (upload) await course.upload(letter(1, true, fields));
    const conductor = createConductor(below);
    const order = await conductor.run(
      racers.map(
        ({ name, run }) =>
          () =>
            run(conductor.turnOf(name)),
      ),
    );
    story.push(...order);
    // What is under way lands within seconds, if it ever does.
    await course.stage.sleep(5_000);
    await landPending(course.trial.book);
    const pauseMs = pick(PAUSES_MS, 0);
    story.push(`${pauseMs / MINUTE} min`);
    if (below(2) === 0) await course.trial.pass(pauseMs);
    else await course.stage.sleep(pauseMs);
  }
  await untilRest(course.trial);
  const faults = [...course.contradictions, ...(await judge(course.trial, course, { leavesFrames: true }))];
  // Content that a crash left behind goes with the bucket's lifecycle; mail is what this is about.
  const grave = faults.filter((fault) => !/(stays in the spool|still counted)$/.test(fault));
  return grave.length === 0 ? [] : [...grave, `seed ${seed}: ${story.join(', ')}`];
}

function letter(recipients: number, upload: boolean, fields: Letter['fields'] = {}): Letter {
  const content = Buffer.from('From: a@sender.example\r\nSubject: melee\r\n\r\n.dot\r\nend\r\n');
  return { id: 'race-m', recipients: RECIPIENTS.slice(0, recipients), content, upload, fields };
}

function drawRacer(
  course: Course,
  name: string,
  kind: number,
  one: Letter,
  timers: Awaited<ReturnType<Course['stage']['receiveTimers']>>,
): Racer {
  if (kind < 3) return course.hand(`${name} transfer`, one);
  if (kind < 5) return course.withdraw(`${name} withdrawal`, one.id);
  if (kind < 6) return course.release(`${name} release`);
  // The same timers in two hands: as when their visibility ended while the first was still at work.
  return course.deliver(`${name} attempt`, timers);
}

const ROLES: readonly Role[] = ['receive', 'receive', 'deliver', 'deliver', 'release'];

/** None to three of them. */
export function drawStrikes(below: (count: number) => number): readonly Strike[] {
  const harms = [...CRASHES, ...FAULTS];
  return Array.from({ length: below(4) }, () => {
    const role = ROLES[below(ROLES.length)] ?? 'receive';
    return { role, at: below(30), harm: harms[below(harms.length)] ?? 'refused' };
  });
}
