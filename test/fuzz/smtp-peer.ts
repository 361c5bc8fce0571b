// An SMTP server of the case's profile. It answers as servers do, and where a mutation says so, as none should.
// It judges nothing: the referee reads both sides of the wire.

import type { Draw } from './draw.ts';
import type { PeerEar, PeerEnd } from './memory-socket.ts';
import {
  type DrawnReply,
  drawAnyCode,
  drawGarbage,
  drawReply,
  PERMANENT,
  TOO_MANY,
  TRANSIENT,
} from './reply-grammar.ts';
import type { Mutation, PeerProfile } from './smtp-plan.ts';

export function createPeer(draw: Draw, profile: PeerProfile, end: PeerEnd): PeerEar {
  const mutations = new Map<number, Mutation['kind']>(profile.mutations.map(({ at, kind }) => [at, kind]));
  let said = 0;
  let messages = 0;
  let input: Buffer = Buffer.alloc(0);
  let isReadingContent = false;
  let hasMail = false;
  let accepted = 0;
  let isSilent = false;
  let isOver = false;
  let isHandling = false;
  let output: Buffer[] = [];
  /** A reply that waits to come after the next one. */
  let heldBack: Buffer | undefined;
  let speaksInContent = false;

  function send(octets: Buffer) {
    if (isSilent || isOver || octets.length === 0) return;
    switch (profile.pieces) {
      case 'turns':
        output.push(octets);
        return;
      case 'replies':
        return end.say(octets);
      case 'cut':
      case 'octets':
        for (let from = 0; from < octets.length; ) {
          // Of what is long, only the first octets come singly.
          const length = profile.pieces === 'octets' && from < 300 ? 1 : 1 + draw.below(octets.length);
          end.say(octets.subarray(from, from + length));
          from += length;
        }
    }
  }

  function flush(): void {
    if (output.length > 0 && !isOver) end.say(Buffer.concat(output));
    output = [];
  }

  function leave(how: 'close' | 'reset'): void {
    flush();
    isOver = true;
    if (how === 'close') end.close();
    else end.reset();
  }

  function say(reply: DrawnReply): void {
    const kind = mutations.get(said);
    said += 1;
    const held = heldBack;
    heldBack = undefined;
    utter(reply, kind);
    if (held !== undefined) send(held);
    // RFC 5321 §3.8: after 421 it closes.
    if (reply.code === 421 || kind === '421') leave('close');
  }

  function utter({ octets }: DrawnReply, kind: Mutation['kind'] | undefined) {
    switch (kind) {
      case undefined:
        return send(octets);
      case 'wrong code':
        return send(drawReply(draw, drawAnyCode(draw)).octets);
      case 'garbage':
        return send(drawGarbage(draw));
      case 'garbage before':
        send(drawGarbage(draw));
        return send(octets);
      case 'doubled':
        send(octets);
        return send(draw.chance(0.5) ? octets : drawReply(draw, drawAnyCode(draw)).octets);
      case 'missing':
        return;
      case 'swapped':
        heldBack = octets;
        return;
      case 'cut and close':
      case 'cut and reset':
        send(octets.subarray(0, draw.below(octets.length + 1)));
        return leave(kind === 'cut and close' ? 'close' : 'reset');
      case 'close':
      case 'reset':
        return leave(kind);
      case 'silence':
        isSilent = true;
        return;
      case 'drop input':
        input = Buffer.alloc(0);
        return send(octets);
      case 'reply in content':
        speaksInContent = true;
        return send(octets);
      case '421':
        return send(drawReply(draw, 421).octets);
    }
  }

  function sayCode(code: number): void {
    say(drawReply(draw, code));
  }

  function verdict(): number | undefined {
    if (draw.chance(profile.kindness)) return undefined;
    const code = draw.chance(0.5) ? draw.pick(TRANSIENT) : draw.pick(PERMANENT);
    // Rarely enough that most sessions live on.
    return code === 421 && draw.chance(0.8) ? 451 : code;
  }

  function obey(line: string) {
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case 'EHLO':
        if (profile.knowsOnlyHelo) return sayCode(draw.pick([500, 502, 550]));
        return say({ code: 250, octets: ehlo() });
      case 'HELO':
      case 'NOOP':
      case 'VRFY':
        return sayCode(250);
      case 'MAIL': {
        if (messages >= profile.maxMessages) return sayCode(421);
        if (hasMail) return sayCode(503);
        const refusal = verdict();
        hasMail = refusal === undefined;
        accepted = 0;
        return sayCode(refusal ?? 250);
      }
      case 'RCPT': {
        if (!hasMail) return sayCode(503);
        if (accepted >= profile.maxRecipients) return say({ code: 452, octets: Buffer.from(TOO_MANY) });
        const refusal = verdict();
        if (refusal === undefined) accepted += 1;
        return sayCode(refusal ?? draw.pick([250, 250, 251]));
      }
      case 'DATA': {
        if (!hasMail || (accepted === 0 && !profile.takesDataForNobody))
          return sayCode(draw.pick([503, 554]));
        const refusal = accepted === 0 ? undefined : verdict();
        isReadingContent = refusal === undefined;
        return sayCode(refusal ?? 354);
      }
      case 'STAR':
        if (profile.startTls !== 'broken') return sayCode(draw.pick([454, 502, 500]));
        sayCode(220);
        if (draw.chance(0.7)) send(drawGarbage(draw));
        return isOver ? undefined : leave('close');
      case 'RSET':
        hasMail = false;
        return sayCode(250);
      case 'QUIT':
        sayCode(221);
        return isOver ? undefined : leave('close');
      default:
        return sayCode(500);
    }
  }

  function ehlo(): Buffer {
    const offer = profile.startTls === 'not offered' ? [] : ['STARTTLS'];
    const lines = ['mx.example.net greets you', ...profile.extensions, ...offer];
    return Buffer.from(
      lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join(''),
    );
  }

  function tookContent() {
    isReadingContent = false;
    hasMail = false;
    messages += 1;
    if (profile.loses === 'behind the dot') input = Buffer.alloc(0);
    if (accepted === 0) return sayCode(554);
    sayCode(verdict() ?? 250);
  }

  /** True when there was enough of it for one step. */
  function step(): boolean {
    if (isReadingContent) {
      if (speaksInContent && input.length > 0) {
        speaksInContent = false;
        send(drawReply(draw, drawAnyCode(draw)).octets);
      }
      const after = input.subarray(0, 3).equals(DOT)
        ? 3
        : input.indexOf(END) === -1
          ? 0
          : input.indexOf(END) + 5;
      if (after === 0) return false;
      input = input.subarray(after);
      tookContent();
      return true;
    }
    const at = input.indexOf('\r\n');
    if (at === -1) return false;
    const line = input.toString('latin1', 0, at);
    input = profile.loses === 'behind each command' ? Buffer.alloc(0) : input.subarray(at + 2);
    obey(line);
    return true;
  }

  async function handle(): Promise<void> {
    if (isHandling) return;
    isHandling = true;
    for (let turn = 0; turn < profile.lag; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    while (!isOver && step());
    flush();
    isHandling = false;
  }

  sayCode(
    draw.weighted([
      [30, 220],
      [1, 554],
      [1, 421],
      [1, 450],
    ]),
  );
  flush();
  return {
    heard(octets) {
      if (isOver) return;
      input = Buffer.concat([input, octets]);
      // The same words again while it thinks are handled in the same go.
      void handle();
    },
    gone() {
      isOver = true;
    },
  };
}

const DOT = Buffer.from('.\r\n');
const END = Buffer.from('\r\n.\r\n');
