// How the sink's destinations behave, as a script told by address: a local part such as `defer-3` decides at any
// domain of the sink, otherwise the domain does. `+anything` after the word is ignored, so that one behaviour
// serves many distinct addresses. Counts are per reverse path and recipient.

/** `times` and `seconds` are whole numbers from 0 up. */
export type Behaviour =
  | { readonly kind: 'accept' }
  /** 550 to RCPT. */
  | { readonly kind: 'reject' }
  /** 554 after the content. */
  | { readonly kind: 'reject-data' }
  /** 450 to the first RCPTs. */
  | { readonly kind: 'defer'; readonly times: number }
  /** 452 after the content, the first times. */
  | { readonly kind: 'defer-data'; readonly times: number }
  /** 451 to RCPT until this long after the first one; the sink divides it by its speed. */
  | { readonly kind: 'greylist'; readonly seconds: number }
  /** The connection is cut in the middle of the content, the first times. */
  | { readonly kind: 'drop'; readonly times: number }
  /** The connection is cut after the final dot, without a reply, the first times; nothing is kept then. */
  | { readonly kind: 'drop-final'; readonly times: number }
  /** Each reply from RCPT on takes this long; never divided by the speed. */
  | { readonly kind: 'tarpit'; readonly seconds: number };

const DEFAULT_GREYLIST_SECONDS = 120;
const DEFAULT_TARPIT_SECONDS = 2;

/** Local parts: the word, and what its optional number means. */
const WORDS: Readonly<Record<string, (number: number | undefined) => Behaviour>> = {
  ok: () => ({ kind: 'accept' }),
  reject: () => ({ kind: 'reject' }),
  'reject-data': () => ({ kind: 'reject-data' }),
  defer: (number = 1) => ({ kind: 'defer', times: number }),
  'defer-data': (number = 1) => ({ kind: 'defer-data', times: number }),
  greylist: (number = DEFAULT_GREYLIST_SECONDS) => ({ kind: 'greylist', seconds: number }),
  drop: (number = 1) => ({ kind: 'drop', times: number }),
  'drop-final': (number = 1) => ({ kind: 'drop-final', times: number }),
  tarpit: (number = DEFAULT_TARPIT_SECONDS) => ({ kind: 'tarpit', seconds: number }),
};

/** What a domain does to local parts that decide nothing; any other domain accepts. */
const DOMAINS: Readonly<Record<string, Behaviour>> = {
  'greylist.test': { kind: 'greylist', seconds: DEFAULT_GREYLIST_SECONDS },
  'defer-twice.test': { kind: 'defer', times: 2 },
  'defer-data.test': { kind: 'defer-data', times: 1 },
  'reject.test': { kind: 'reject' },
  'reject-data.test': { kind: 'reject-data' },
  'drop.test': { kind: 'drop', times: 1 },
  'drop-final.test': { kind: 'drop-final', times: 1 },
  'tarpit.test': { kind: 'tarpit', seconds: DEFAULT_TARPIT_SECONDS },
};

/** For `--help`: address and what happens there. */
export const SINK_ADDRESSES: readonly (readonly [address: string, behaviour: string])[] = [
  ['anyone@ok.test', 'accepted; also at example.com, example.net, example.org and gmail.com'],
  [
    'anyone@greylist.test',
    `451 until ${DEFAULT_GREYLIST_SECONDS} s (divided by --speed) after the first try`,
  ],
  ['anyone@defer-twice.test', '450 twice, then accepted'],
  ['anyone@defer-data.test', '452 once after the content, then accepted'],
  ['anyone@reject.test', '550'],
  ['anyone@reject-data.test', '554 after the content'],
  ['anyone@drop.test', 'connection cut once in the middle of the content, then accepted'],
  ['anyone@drop-final.test', 'connection cut once after the final dot, then accepted'],
  ['anyone@tarpit.test', `every reply takes ${DEFAULT_TARPIT_SECONDS} s, accepted`],
  ['anyone@busy.test', '421 greeting on every other connection, then accepted'],
  ['anyone@failover.test', 'first MX refuses connections, second accepts'],
  ['anyone@plain.test', 'accepted without ESMTP extensions: no 8BITMIME, SMTPUTF8, DSN or PIPELINING'],
  ['anyone@bücher.test', 'accepted; an internationalised domain'],
  ['anyone@null-mx.test', 'the domain takes no mail (null MX)'],
  ['anyone@nowhere.test', 'the domain does not exist'],
  ['defer-3@ok.test', '450 three times; also greylist-N, drop-N, drop-final-N, defer-data-N, tarpit-N,'],
  ['', 'reject and reject-data, with or without +anything, at any of these domains'],
];

/** `address` as SMTP gave it, the domain with A- or U-labels. */
export function behaviourOf(address: string): Behaviour {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at).toLowerCase();
  const match = /^(?<word>[a-z-]+?)(?:-(?<number>\d{1,4}))?(?:\+.*)?$/.exec(local);
  const { word = '', number } = match?.groups ?? {};
  const scripted = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (scripted !== undefined) return scripted(number === undefined ? undefined : Number(number));
  return DOMAINS[address.slice(at + 1).toLowerCase()] ?? { kind: 'accept' };
}

/** What the sink remembers of a reverse path and a recipient. */
export interface Encounters {
  readonly firstAtMs: number;
  /** RCPT commands before this one. */
  readonly recipientTries: number;
  /** Contents received before this one. */
  readonly contentTries: number;
}

export interface Refusal {
  readonly code: number;
  readonly text: string;
}

/** The refusal that RCPT gets; undefined: accepted. */
export function recipientRefusal(
  behaviour: Behaviour,
  before: Encounters,
  nowMs: number,
  speed: number,
): Refusal | undefined {
  switch (behaviour.kind) {
    case 'reject':
      return { code: 550, text: 'no such mailbox here' };
    case 'defer': {
      const { times } = behaviour;
      const count = before.recipientTries + 1;
      return count > times ? undefined : { code: 450, text: `mailbox busy, refusal ${count} of ${times}` };
    }
    case 'greylist': {
      const leftMs = before.firstAtMs + (behaviour.seconds * 1_000) / speed - nowMs;
      return leftMs <= 0
        ? undefined
        : { code: 451, text: `greylisted, come back in ${Math.ceil(leftMs / 1_000)} s` };
    }
    case 'accept':
    case 'reject-data':
    case 'defer-data':
    case 'drop':
    case 'drop-final':
    case 'tarpit':
      return undefined;
  }
}

/** What becomes of the content; undefined: it is kept and 250 said. */
export function contentFate(
  behaviour: Behaviour,
  before: Encounters,
): Refusal | 'drop' | 'drop-final' | undefined {
  switch (behaviour.kind) {
    case 'reject-data':
      return { code: 554, text: 'the content is not wanted' };
    case 'defer-data': {
      const { times } = behaviour;
      const count = before.contentTries + 1;
      return count > times ? undefined : { code: 452, text: `no room now, refusal ${count} of ${times}` };
    }
    case 'drop':
    case 'drop-final':
      return before.contentTries < behaviour.times ? behaviour.kind : undefined;
    case 'accept':
    case 'reject':
    case 'defer':
    case 'greylist':
    case 'tarpit':
      return undefined;
  }
}

/** Delay of each reply from RCPT on. */
export function replyDelayMs(behaviour: Behaviour): number {
  return behaviour.kind === 'tarpit' ? behaviour.seconds * 1_000 : 0;
}
