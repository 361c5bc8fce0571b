// The demo's story: which messages are sent, by which way, and how each recipient must end. Every recipient
// occurs once in a story, so that log records and arrivals find their message by address.

import type { Envelope, Recipient } from '../shared/message/envelope.ts';
import {
  attachmentContent,
  binaryContent,
  dottedContent,
  headersOnlyContent,
  type Letter,
  latin1Content,
  longLineContent,
  plainContent,
  signedContent,
} from './demo-content.ts';

/** `smtp` goes through the sidecar, the others straight to the API. */
export type Way = 'smtp' | 'frames' | 'json' | 'rfc822' | 'kumomta';

export type ExpectedEnd = 'delivered' | 'failed' | 'withdrawn';

export interface DemoMessage {
  readonly number: number;
  readonly kind: string;
  readonly way: Way;
  readonly envelope: Envelope;
  readonly content: Buffer;
  /** By address. */
  readonly expected: ReadonlyMap<string, ExpectedEnd>;
  /** Attempts of the recipient that needs most: at least and at most. */
  readonly attempts: readonly [number, number];
  /** Handed over so often; the receiver must recognise the repeats. */
  readonly handovers: number;
  /** Due far in the future, and taken back. */
  readonly withdrawn: boolean;
}

/** `run`: a few of `a-z0-9`, different in every run. */
export function demoStory(run: string, nowMs: number): readonly DemoMessage[] {
  return CHAPTERS.map((chapter, index) => {
    const number = index + 1;
    const letter: Letter = { run, number, subject: chapter.kind, atMs: nowMs };
    const tag = `+${run}-${String(number).padStart(2, '0')}`;
    const tagged = (address: string) => address.replace('@', `${tag}@`);
    const recipients = chapter.to.map(([address, , parameters]) => ({
      address: tagged(address),
      ...parameters,
    }));
    return {
      number,
      kind: chapter.kind,
      way: chapter.way ?? 'smtp',
      envelope: {
        sender: chapter.from === '' ? '' : tagged(chapter.from ?? 'demo@sender.test'),
        recipients,
        body: chapter.body ?? '7BIT',
        smtputf8: chapter.smtputf8 ?? false,
        requireTls: false,
        ...chapter.dsn,
      },
      content: (chapter.content ?? plainContent)(letter),
      expected: new Map(chapter.to.map(([address, end]) => [tagged(address), end])),
      attempts: chapter.attempts ?? [1, 1],
      handovers: chapter.handovers ?? 1,
      withdrawn: chapter.to.every(([, end]) => end === 'withdrawn'),
    };
  });
}

interface Chapter {
  readonly kind: string;
  readonly to: readonly (readonly [
    address: string,
    end: ExpectedEnd,
    parameters?: Omit<Recipient, 'address'>,
  ])[];
  readonly way?: Way;
  readonly from?: string;
  readonly content?: (letter: Letter) => Buffer;
  readonly body?: '8BITMIME';
  readonly smtputf8?: true;
  readonly dsn?: Pick<Envelope, 'envid' | 'ret'>;
  readonly attempts?: readonly [number, number];
  readonly handovers?: number;
}

const ATTACHMENT_BYTES = 5 * 1024 * 1024;
/** More than the buffers of a connection hold, so that the cut is noticed while content is still to be sent. */
const CUT_BYTES = 3 * 1024 * 1024;
/** More than one delivery holds. */
const MANY = 60;

const CHAPTERS: readonly Chapter[] = [
  { kind: 'plain', to: [['anna@ok.test', 'delivered']] },
  {
    kind: 'three recipients, one domain',
    to: ['anna', 'bert', 'carl'].map((name) => [`${name}@ok.test`, 'delivered']),
  },
  {
    kind: 'four domains in one message',
    to: [
      ['anna@ok.test', 'delivered'],
      ['bert@mixed.test', 'delivered'],
      ['carl@failover.test', 'delivered'],
      ['dora@implicit-mx.test', 'delivered'],
    ],
  },
  {
    kind: `${MANY} recipients, one domain`,
    to: Array.from({ length: MANY }, (_, index) => [`list-member-${index}@ok.test`, 'delivered']),
  },
  {
    kind: 'mixed verdicts, one domain',
    to: [
      ['ok@mixed.test', 'delivered'],
      ['reject@mixed.test', 'failed'],
      ['defer-1@mixed.test', 'delivered'],
    ],
    attempts: [2, 2],
  },
  { kind: 'greylisted', to: [['anna@greylist.test', 'delivered']], attempts: [2, 9] },
  { kind: 'deferred twice', to: [['anna@defer-twice.test', 'delivered']], attempts: [3, 3] },
  { kind: 'deferred after the content', to: [['anna@defer-data.test', 'delivered']], attempts: [2, 2] },
  { kind: 'rejected', to: [['anna@reject.test', 'failed']] },
  { kind: 'rejected after the content', to: [['anna@reject-data.test', 'failed']] },
  {
    kind: 'cut in the content',
    content: (letter) => attachmentContent(letter, CUT_BYTES),
    to: [['anna@drop.test', 'delivered']],
    attempts: [2, 2],
  },
  { kind: 'cut after the final dot', to: [['anna@drop-final.test', 'delivered']], attempts: [2, 2] },
  { kind: 'slow destination', to: [['anna@tarpit.test', 'delivered']] },
  { kind: 'busy destination', to: [['anna@busy.test', 'delivered']], attempts: [1, 9] },
  { kind: 'first MX is down', to: [['anna@failover.test', 'delivered']] },
  { kind: 'domain takes no mail', to: [['anna@null-mx.test', 'failed']] },
  { kind: 'domain does not exist', to: [['anna@nowhere.test', 'failed']] },
  { kind: 'null sender', from: '', to: [['anna@ok.test', 'delivered']] },
  { kind: '8-bit, Latin 1', body: '8BITMIME', content: latin1Content, to: [['anna@ok.test', 'delivered']] },
  { kind: 'every octet', body: '8BITMIME', content: binaryContent, to: [['anna@ok.test', 'delivered']] },
  {
    kind: 'UTF-8 addresses',
    from: 'отправитель@sender.test',
    smtputf8: true,
    to: [['χρήστης@utf8.test', 'delivered']],
  },
  {
    kind: 'UTF-8, but not there',
    smtputf8: true,
    to: [['χρήστης@plain.test', 'failed']],
  },
  { kind: 'internationalised domain', to: [['anna@xn--bcher-kva.test', 'delivered']] },
  { kind: 'no ESMTP extensions', to: [['anna@plain.test', 'delivered']] },
  { kind: 'dots', content: dottedContent, to: [['anna@ok.test', 'delivered']] },
  { kind: 'very long lines', content: longLineContent, to: [['anna@ok.test', 'delivered']] },
  { kind: 'headers only', content: headersOnlyContent, to: [['anna@ok.test', 'delivered']] },
  { kind: 'signed, folded headers', content: signedContent, to: [['anna@ok.test', 'delivered']] },
  {
    kind: 'DSN parameters',
    dsn: { envid: 'demo+envelope=1', ret: 'HDRS' },
    to: [
      ['anna@ok.test', 'delivered', { notify: ['FAILURE', 'DELAY'], orcpt: 'rfc822;anna@elsewhere.test' }],
    ],
  },
  {
    kind: '5 MB, by upload',
    content: (letter) => attachmentContent(letter, ATTACHMENT_BYTES),
    to: [['anna@ok.test', 'delivered']],
  },
  { kind: 'handed over twice', handovers: 2, to: [['anna@defer-twice.test', 'delivered']], attempts: [3, 3] },
  { kind: 'JSON', way: 'json', to: [['anna@ok.test', 'delivered']] },
  { kind: 'message/rfc822', way: 'rfc822', to: [['anna@greylist.test', 'delivered']], attempts: [2, 9] },
  { kind: 'frames, gzip', way: 'frames', to: [['anna@ok.test', 'delivered']] },
  { kind: 'KumoMTA, deferred before', way: 'kumomta', to: [['anna@ok.test', 'delivered']] },
  { kind: 'withdrawn', way: 'json', to: [['anna@ok.test', 'withdrawn']], attempts: [0, 0] },
];
