// Reads both sides of one connection, in the order in which the client said and was told it, and judges the client by
// RFC 5321 alone: it shares no code with the client. The n-th reply answers the n-th command, whatever the peer meant.
//
// What it holds the client to: nothing said out of turn; content only after 354, whole, of its own message and no
// other; `delivered` only where the peer took this content for this recipient, and never anything but delivered where
// it did; `permanent` only on a 5xx to this recipient, or to MAIL, DATA or content of this message, or a refusal of
// our own; `uncertain` only after a final dot; one outcome for each recipient.

import type { TransactionResult } from '../../shared/smtp/client.ts';
import type { Letter } from './smtp-plan.ts';

export interface WireEvent {
  readonly by: 'client' | 'peer';
  readonly octets: Buffer;
}

export interface LetterResult {
  readonly letter: Letter;
  readonly result: TransactionResult;
}

interface Said {
  /** Undefined for what is no reply. */
  readonly code: number | undefined;
  /** 452 for the number of recipients; a full mailbox has the same code. */
  readonly isTooMany: boolean;
  /** The event that completed it. */
  readonly at: number;
}

interface Transaction {
  readonly letter: Letter | undefined;
  readonly mail: number;
  readonly rcpts: { readonly name: string; readonly ask: number }[];
  data?: number;
  dot?: number;
  dotAt?: number;
  isWhole?: boolean;
}

/** With the reply to the RCPT of one recipient. */
type Named = Transaction & { readonly rcpt?: number | undefined; readonly isTooMany?: boolean };

const TOO_MANY_CODE = 452;

export interface Referee {
  readonly faults: readonly string[];
  /** The replies as it counted them, for those who look into a fault. */
  readonly codes: readonly (number | undefined)[];
}

export function judge(
  events: readonly WireEvent[],
  letters: readonly Letter[],
  results: readonly LetterResult[],
  isClean: boolean,
): Referee {
  const faults: string[] = [];
  const replies: Said[] = [];
  const transactions: Transaction[] = [];
  let announced = new Set<string>();
  let sizeLimit = Number.POSITIVE_INFINITY;
  /** How many things were said that ask for a reply; the greeting is asked for by connecting. */
  let asks = 1;
  let mode: 'command' | 'data' | 'content' = 'command';
  let heard = '';
  let told = '';
  let lines: string[] = [];
  const ehlos: number[] = [];

  const current = (): Transaction | undefined => transactions.at(-1);
  const codeOf = (ask: number | undefined): number | undefined =>
    ask === undefined ? undefined : replies[ask]?.code;

  function takeReplies(at: number): void {
    for (let end = told.indexOf('\n'); end !== -1; end = told.indexOf('\n')) {
      const line = told.slice(0, end).replace(/\r$/, '');
      told = told.slice(end + 1);
      lines.push(line);
      if (/^[2-5]\d\d-/.test(line)) continue;
      const code = lines[0]?.slice(0, 3) ?? '';
      const isReply = lines.every((one) => /^[2-5]\d\d(?:[ -]|$)/.test(one) && one.startsWith(code));
      if (isReply && ehlos.includes(replies.length) && code.startsWith('2')) announce(lines.slice(1));
      const isTooMany = code === '452' && lines[0]?.includes('too many recipients') === true;
      replies.push({ code: isReply ? Number(code) : undefined, isTooMany, at });
      lines = [];
    }
  }

  function announce(offers: readonly string[]): void {
    const words = offers.map((line) =>
      line
        .slice(4)
        .trim()
        .toUpperCase()
        .split(/[ \t]+/),
    );
    announced = new Set(words.map(([keyword = '']) => keyword));
    const size = Number(words.findLast(([keyword]) => keyword === 'SIZE')?.[1] ?? 0);
    sizeLimit = size > 0 ? size : Number.POSITIVE_INFINITY;
  }

  function takeWords(at: number): void {
    for (;;) {
      if (heard === '') return;
      if (mode === 'data') {
        const data = current()?.data;
        const reply = data === undefined ? undefined : replies[data];
        // A peer that closes within a line that begins with 4xx has given its reason.
        if (reply === undefined && /^4\d\d /.test(told)) mode = 'command';
        else if (reply === undefined) {
          faults.push('spoke on before DATA was answered');
          mode = 'command';
        } else mode = isStarted(reply.code) ? 'content' : 'command';
      }
      if (mode === 'content') {
        if (!takeContent(at)) return;
        continue;
      }
      const end = heard.indexOf('\r\n');
      if (end === -1) return;
      const line = heard.slice(0, end);
      heard = heard.slice(end + 2);
      takeCommand(line);
    }
  }

  function takeCommand(line: string): void {
    const ask = asks;
    asks += 1;
    const [, verb = '', path = ''] =
      /^(EHLO|HELO|STARTTLS$|RSET$|QUIT$|DATA$|MAIL FROM:<([^>]*)>|RCPT TO:<([^>]*)>)/.exec(line) ?? [];
    if (verb === 'EHLO' || verb === 'HELO') ehlos.push(ask);
    else if (verb.startsWith('MAIL')) {
      const letter = letters.find(({ name }) => path === `${name}@example.com`);
      if (letter === undefined) faults.push(`MAIL for nobody: ${line}`);
      transactions.push({ letter, mail: ask, rcpts: [] });
    } else if (verb.startsWith('RCPT')) {
      const name = /^RCPT TO:<(r\d+)/.exec(line)?.[1] ?? '';
      current()?.rcpts.push({ name, ask });
    } else if (verb === 'DATA') {
      const transaction = current();
      if (transaction === undefined || transaction.data !== undefined) faults.push('DATA without MAIL');
      else transaction.data = ask;
      mode = 'data';
    } else if (verb === '')
      faults.push(`content, or nonsense, where a command is due: ${JSON.stringify(line.slice(0, 60))}`);
  }

  /** True when the content ended. */
  function takeContent(at: number): boolean {
    const transaction = current();
    const whole = stuffedOf(transaction?.letter);
    const end = heard.startsWith('.\r\n') ? 0 : heard.indexOf('\r\n.\r\n') + 2;
    const isAsked =
      transaction !== undefined &&
      isPositive(codeOf(transaction.mail)) &&
      transaction.rcpts.some(({ ask }) => isPositive(codeOf(ask)));
    if (end === 1) {
      if (!isAsked) faults.push('content although nobody was accepted');
      else if (!whole.startsWith(heard))
        faults.push(`content of another message, or changed, for ${transaction.letter?.name}`);
      return false;
    }
    const content = heard.slice(0, end);
    heard = heard.slice(end + 3);
    mode = 'command';
    if (transaction !== undefined) {
      transaction.dot = asks;
      transaction.dotAt = at;
      transaction.isWhole = content === whole;
      if (isAsked && transaction.letter?.isFaulty === true)
        faults.push(`a final dot behind content that failed, for ${transaction.letter.name}`);
      else if (isAsked && content !== whole)
        faults.push(`content arrived changed, or mixed, for ${transaction.letter?.name}`);
      if (!isAsked && content !== '') faults.push('content although nobody was accepted');
    }
    asks += 1;
    return true;
  }

  for (const [at, { by, octets }] of events.entries()) {
    if (by === 'client') {
      heard += octets.toString('latin1');
      takeWords(at);
    } else {
      told += octets.toString('latin1');
      takeReplies(at);
    }
  }

  function isRefusedByUs({ envelope, content, octets }: Letter, address: string): boolean {
    if (envelope.requireTls || content.sizeBytes > sizeLimit) return true;
    const is8Bit = envelope.body === '8BITMIME' && octets.some((octet) => octet > 0x7f);
    if (is8Bit && !announced.has('8BITMIME')) return true;
    return /^[^@]*[^\0-\x7f]/.test(address) && !announced.has('SMTPUTF8');
  }

  function judgeRecipient({ letter, result }: LetterResult, position: number): void {
    if (result.kind !== 'settled') return;
    const outcome = result.outcomes[position];
    const address = letter.envelope.recipients[position]?.address ?? '';
    const name = `r${position}`;
    if (outcome === undefined) return;
    const who = `${letter.name} to ${name}: ${outcome.kind} at ${outcome.stage} (${outcome.reply.code} ${outcome.reply.text.slice(0, 60)})`;
    const own = transactions.filter((one) => one.letter === letter);
    const named = own.flatMap((one) => {
      const rcpt = one.rcpts.find((other) => other.name === name);
      if (rcpt === undefined) return [];
      const isTooMany = replies[rcpt.ask]?.isTooMany === true;
      return [{ ...one, rcpt: codeOf(rcpt.ask), isTooMany }];
    });
    const taken = named.filter(
      (one) => isPositive(one.rcpt) && one.isWhole === true && isPositive(codeOf(one.dot)),
    );
    switch (outcome.kind) {
      case 'delivered':
        if (taken.length === 0) faults.push(`${who}, and the peer never took it`);
        return;
      case 'permanent': {
        const isSaid =
          own.some((one) => isNegative(codeOf(one.mail))) ||
          named.some(
            (one) =>
              isNegative(one.rcpt) ||
              // The reply behind DATA's is that to the content, also when it came before the dot.
              (isPositive(one.rcpt) &&
                (isNegative(codeOf(one.data)) || isNegative(codeOf((one.data ?? -2) + 1)))),
          );
        if (!isSaid && !isRefusedByUs(letter, address)) faults.push(`${who}, and the peer never said so`);
        if (taken.length > 0) faults.push(`${who}, and the peer took it`);
        break;
      }
      case 'transient': {
        const isTold = taken.some((one) => (replies[one.dot ?? -1]?.at ?? -1) > (one.dotAt ?? 0));
        if (isTold) faults.push(`${who}, and the peer took it: it would be sent twice`);
        break;
      }
      case 'uncertain':
        // Whether octets that were given to a socket left it, nobody knows.
        if (!named.some((one) => one.dot !== undefined || isStarted(codeOf(one.data)))) {
          faults.push(`${who}, and no content was due`);
        }
        break;
    }
    // Silence after a final dot is a doubt, and is called one. Half a line of 4xx at the end is no silence.
    const isSilent = named.some(
      (one) => isPositive(one.rcpt) && one.isWhole === true && one.dot === replies.length,
    );
    if (isSilent && outcome.kind !== 'uncertain' && told === '')
      faults.push(`${who}, and its final dot has no reply`);
    if (isClean && !letter.isFaulty) judgeClean(who, outcome.kind, letter, address, decisiveFor(own, named));
  }

  /** The last transaction that was about a recipient; those of whom there were too many are named in the next. */
  function decisiveFor(own: readonly Transaction[], named: readonly Named[]): Named | undefined {
    const [last, lastNamed] = [own.at(-1), named.at(-1)];
    if (lastNamed !== undefined && lastNamed.isTooMany !== true) return lastNamed;
    if (last === undefined || !isPositive(codeOf(last.mail))) return last;
    return { ...last, rcpt: TOO_MANY_CODE };
  }

  /** A peer that keeps the rules is understood exactly. */
  function judgeClean(
    who: string,
    found: string,
    letter: Letter,
    address: string,
    last: Named | undefined,
  ): void {
    if (replies.some(({ code }) => code === 421)) return;
    const codes = last && [codeOf(last.mail), last.rcpt, codeOf(last.data), codeOf(last.dot)];
    const decisive =
      codes?.find((code, at) => code !== undefined && (at === 2 ? code >= 400 : code >= 300)) ?? codes?.[3];
    let expected: string | undefined;
    if (isRefusedByUs(letter, address)) expected = 'permanent';
    else if (decisive !== undefined) {
      expected = decisive < 300 ? 'delivered' : decisive < 500 ? 'transient' : 'permanent';
    }
    if (expected !== found)
      faults.push(`${who}, and a peer that keeps the rules meant ${expected ?? 'nothing yet'}`);
  }

  for (const one of results) {
    const { letter, result } = one;
    if (result.kind === 'unattempted') {
      const isSent = transactions.some(
        (other) => other.letter === letter && other.dot !== undefined && other.isWhole === true,
      );
      if (isSent) faults.push(`${letter.name}: unattempted, and its final dot was sent`);
      continue;
    }
    const { length } = letter.envelope.recipients;
    if (result.outcomes.length !== length)
      faults.push(`${letter.name}: ${result.outcomes.length} outcomes for ${length} recipients`);
    for (const position of letter.envelope.recipients.keys()) judgeRecipient(one, position);
  }
  return { faults, codes: replies.map(({ code }) => code) };
}

function isPositive(code: number | undefined): boolean {
  return code !== undefined && code >= 200 && code < 300;
}

function isStarted(code: number | undefined): boolean {
  return code !== undefined && code >= 300 && code < 400;
}

function isNegative(code: number | undefined): boolean {
  return code !== undefined && code >= 500 && code < 600;
}

const stuffed = new WeakMap<Letter, string>();

/** RFC 5321 §4.5.2. */
function stuffedOf(letter: Letter | undefined): string {
  if (letter === undefined) return '';
  const known = stuffed.get(letter);
  if (known !== undefined) return known;
  const whole = letter.octets.toString('latin1').replaceAll(/(^|\r\n)\./g, '$1..');
  stuffed.set(letter, whole);
  return whole;
}
