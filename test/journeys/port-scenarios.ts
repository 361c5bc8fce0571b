// What is played in every trial: short stories that between them make every call of receive, deliver and release.

import { DEFAULT_TEMPO, type Tempo } from '../../shared/queue/tempo.ts';
import type { ReportSettings } from '../../shared/report/settings.ts';
import type { Client, Letter } from './port-client.ts';
import type { Expectation } from './port-judge.ts';
import { dyingBefore } from './port-strikes.ts';
import type { Trial } from './port-trial.ts';

export interface Scenario {
  readonly title: string;
  play(trial: Trial, client: Client): Promise<void>;
  readonly expected?: Expectation;
  readonly tempo?: Tempo;
  readonly reports?: Partial<ReportSettings>;
  /** Over this many messages in flight, waits go to the ledger. */
  readonly inFlightMark?: number;
  /** So many of the first timers are lost by the queue. */
  readonly timersLost?: number;
}

const MINUTE = 60_000;
/** Retries so far apart that they are parked. */
const PATIENT: Tempo = { ...DEFAULT_TEMPO, retryIntervalMs: 40 * MINUTE };

function letter(
  trial: Trial,
  name: string,
  recipients: readonly string[],
  more: Partial<Letter> = {},
): Letter {
  const id = `${trial.name}-${name}`;
  const content = Buffer.from(
    `From: a@sender.example\r\nSubject: ${id}\r\n\r\n.dot\r\n..two dots\r\n\x80\xff\r\nend\r\n`,
    'latin1',
  );
  return { id, recipients: recipients.map((address) => address.replace('*', trial.name)), content, ...more };
}

const inMinutes = (trial: Trial, minutes: number) =>
  new Date(trial.stage.nowMs() + minutes * MINUTE).toISOString();

export const SCENARIOS: readonly Scenario[] = [
  {
    title: 'one message',
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*@ok.test'])]);
    },
  },
  {
    title: 'a transfer of three messages',
    async play(trial, client) {
      await client.handOver([
        letter(trial, 'm1', ['ok+*1@ok.test']),
        letter(trial, 'm2', ['ok+*2@ok.test']),
        letter(trial, 'm3', ['ok+*3@mixed.test']),
      ]);
    },
  },
  {
    title: 'recipients in two domains',
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@ok.test', 'ok+*c@mixed.test'])]);
    },
  },
  {
    title: 'a deferral, then delivery',
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['defer-1+*@ok.test'])]);
    },
  },
  {
    title: 'one recipient taken, one deferred, one rejected',
    expected: { endings: { 'reject+*@ok.test': 'bounced' } },
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*@ok.test', 'defer-1+*@ok.test', 'reject+*@ok.test'])]);
    },
  },
  {
    title: 'a connection lost after the final dot',
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['drop-final-1+*@ok.test'])]);
    },
  },
  {
    title: 'due in twenty minutes, parked in the ledger',
    async play(trial, client) {
      const fields = { dueAt: inMinutes(trial, 20) };
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { fields })]);
    },
  },
  {
    title: 'deferred and parked in the ledger',
    tempo: PATIENT,
    inFlightMark: -1,
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['defer-1+*@ok.test'])]);
    },
  },
  {
    title: 'an upload',
    expected: { leavesFrames: true },
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*@ok.test'], { upload: true })]);
    },
  },
  {
    title: 'an upload for two domains and a message beside it',
    expected: { leavesFrames: true },
    async play(trial, client) {
      await client.handOver([
        letter(trial, 'up', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { upload: true }),
        letter(trial, 'in', ['ok+*c@ok.test']),
      ]);
    },
  },
  {
    title: 'withdrawn before the first attempt',
    async play(trial, client) {
      const one = letter(trial, 'm', ['ok+*@ok.test'], { fields: { attempts: 1 } });
      await client.handOver([one]);
      await client.withdraw(one.id);
    },
  },
  {
    title: 'two domains, withdrawn before the first attempt',
    async play(trial, client) {
      const one = letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { fields: { attempts: 1 } });
      await client.handOver([one]);
      await client.withdraw(one.id);
    },
  },
  {
    title: 'withdrawn too late',
    async play(trial, client) {
      const one = letter(trial, 'm', ['ok+*a@ok.test', 'defer-1+*b@mixed.test']);
      await client.handOver([one]);
      await trial.deliverAll();
      await client.withdraw(one.id);
    },
  },
  {
    title: 'withdrawn, and handed over again after the bar',
    async play(trial, client) {
      const one = letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { fields: { attempts: 1 } });
      await client.handOver([one]);
      await client.withdraw(one.id);
      await trial.pass(70 * MINUTE);
      if (client.owners.get(one.id) === 'client') await client.handOver([one]);
    },
  },
  {
    title: 'repeated before the delivery, with a new recipient',
    async play(trial, client) {
      const first = letter(trial, 'm', ['ok+*a@ok.test'], { fields: { attempts: 1 } });
      const wider = letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@ok.test', 'ok+*c@mixed.test'], {
        fields: { attempts: 1 },
      });
      await client.handOver([first]);
      await client.handOver([wider]);
    },
  },
  {
    title: 'repeated after the delivery, with a new recipient',
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'])]);
      await trial.deliverAll();
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test', 'ok+*c@ok.test'])]);
    },
  },
  {
    title: 'an upload repeated after the delivery, with a new recipient',
    expected: { leavesFrames: true },
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test'], { upload: true })]);
      await trial.deliverAll();
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { upload: true })]);
    },
  },
  {
    title: 'a lost timer',
    timersLost: 1,
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*@ok.test'])]);
    },
  },
  {
    title: 'two parked deliveries, their timers lost',
    timersLost: 2,
    async play(trial, client) {
      const fields = { dueAt: inMinutes(trial, 20) };
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { fields })]);
    },
  },
  {
    title: 'chunks without a commit',
    async play(trial, client) {
      const dying = dyingBefore(trial.book, 'receive', 'ledger.write', 3);
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'])], dying);
    },
  },
  {
    title: 'chunks without a commit that nobody comes back for',
    async play(trial, client) {
      const dying = dyingBefore(trial.book, 'receive', 'ledger.write', 3);
      await client.leave(letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test']), dying);
    },
  },
  {
    title: 'parked chunks without a commit',
    async play(trial, client) {
      const dying = dyingBefore(trial.book, 'receive', 'ledger.write', 3);
      const fields = { dueAt: inMinutes(trial, 20) };
      await client.handOver([letter(trial, 'm', ['ok+*a@ok.test', 'ok+*b@mixed.test'], { fields })], dying);
    },
  },
  {
    title: 'no answer from DNS until the expiry',
    expected: { endings: { 'ok+*@dns-fails.test': 'expired' } },
    async play(trial, client) {
      const fields = { expiresAt: inMinutes(trial, 30) };
      await client.handOver([letter(trial, 'm', ['ok+*@dns-fails.test'], { fields })]);
    },
  },
  {
    title: 'deferred until the expiry',
    expected: { endings: { 'defer-99+*@ok.test': 'expired' } },
    async play(trial, client) {
      const fields = { expiresAt: inMinutes(trial, 12) };
      await client.handOver([letter(trial, 'm', ['defer-99+*@ok.test'], { fields })]);
    },
  },
  {
    title: 'a domain that does not exist',
    expected: { endings: { 'ok+*@nowhere.test': 'bounced' } },
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['ok+*@nowhere.test'])]);
    },
  },
  {
    title: 'one recipient rejected at once, another at the expiry',
    expected: { endings: { 'reject+*@ok.test': 'bounced', 'defer-99+*@ok.test': 'expired' } },
    async play(trial, client) {
      const fields = { expiresAt: inMinutes(trial, 3) };
      await client.handOver([letter(trial, 'm', ['reject+*@ok.test', 'defer-99+*@ok.test'], { fields })]);
    },
  },
  {
    title: 'rejected mail of which nobody wants to hear',
    expected: { endings: { 'reject+*a@ok.test': 'bounced', 'reject+*b@ok.test': 'bounced' } },
    async play(trial, client) {
      await client.handOver([
        letter(trial, 'null', ['reject+*a@ok.test'], { fields: { sender: '' } }),
        letter(trial, 'never', ['reject+*b@ok.test'], { notify: ['NEVER'] }),
      ]);
    },
  },
  {
    title: 'a delay of which the sender is told, then delivery',
    reports: { generateDelayDsn: true, delayDsnRetryIntervalMs: 4 * MINUTE },
    async play(trial, client) {
      await client.handOver([letter(trial, 'm', ['defer-2+*@ok.test'])]);
    },
  },
  {
    title: 'two domains that reject an upload',
    expected: {
      leavesFrames: true,
      endings: { 'reject+*a@ok.test': 'bounced', 'reject+*b@mixed.test': 'bounced' },
    },
    async play(trial, client) {
      const fields = { ret: 'FULL' };
      const recipients = ['reject+*a@ok.test', 'reject+*b@mixed.test'];
      await client.handOver([letter(trial, 'm', recipients, { upload: true, fields })]);
    },
  },
];

/** Throws when there is none of that title. */
export function scenarioOf(title: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.title === title);
  if (found === undefined) throw new Error(`no scenario is called ${title}`);
  return found;
}
