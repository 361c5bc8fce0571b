// One case of the reply reader alone: drawn replies and garbage, cut into packets in two ways, must read the same, and
// whole replies as they were said.

import { clipText, formatReply } from '../../shared/smtp/reply.ts';
import { createReplyReader, type WireReply } from '../../shared/smtp/reply-reader.ts';
import { type Draw, drawOf } from './draw.ts';
import { drawAnyCode, drawGarbage, drawReply } from './reply-grammar.ts';

export function replyCase(
  seed: number,
  index: number,
): { readonly faults: readonly string[]; readonly story: () => string } {
  const draw = drawOf(seed, index);
  const pieces: Buffer[] = [];
  const codes: number[] = [];
  const isGood = draw.chance(0.5);
  for (let left = 1 + draw.below(5); left > 0; left -= 1) {
    const code = isGood ? 200 + draw.below(400) : drawAnyCode(draw);
    if (isGood || draw.chance(0.6)) {
      pieces.push(drawReply(draw, code).octets);
      codes.push(code);
    } else pieces.push(mutated(draw, draw.chance(0.5) ? drawGarbage(draw) : drawReply(draw, code).octets));
  }
  const octets = Buffer.concat(pieces);
  const whole = read([octets]);
  const cut = read(cutUp(draw, octets));
  const faults: string[] = [];
  if (JSON.stringify(whole) !== JSON.stringify(cut)) faults.push('another split reads as other replies');
  if (isGood && whole.map(({ reply }) => reply.code).join() !== codes.join()) {
    faults.push(`${whole.map(({ reply }) => reply.code).join()} was read, and ${codes.join()} was said`);
  }
  for (const { reply, intelligible } of whole) {
    if (reply.code < 200 || reply.code > 599) faults.push(`a code of ${reply.code}`);
    if (!intelligible && (reply.code < 400 || reply.code > 499))
      faults.push(`nonsense counts as ${reply.code}`);
    if (clipText(reply.text) !== reply.text) faults.push('a text of over 512 octets');
    if (formatReply(reply).includes('\n')) faults.push('a formatted reply of several lines');
  }
  return { faults, story: () => JSON.stringify(octets.toString('latin1')) };
}

function read(packets: readonly Buffer[]): readonly WireReply[] {
  const reader = createReplyReader();
  const said: WireReply[] = [];
  for (const packet of packets) reader.push(packet, (reply) => said.push(reply));
  const last = reader.end();
  return last === undefined ? said : [...said, last];
}

function cutUp(draw: Draw, octets: Buffer): readonly Buffer[] {
  const most = draw.pick([1, 3, 40, 5_000]);
  const packets: Buffer[] = [];
  for (let from = 0; from < octets.length; ) {
    const length = 1 + draw.below(most);
    packets.push(octets.subarray(from, from + length));
    from += length;
  }
  return packets;
}

function mutated(draw: Draw, octets: Buffer): Buffer {
  const copy = Buffer.from(octets);
  for (let left = draw.below(4); left > 0 && copy.length > 0; left -= 1)
    copy[draw.below(copy.length)] = draw.below(256);
  return draw.chance(0.2) ? copy.subarray(0, draw.below(copy.length + 1)) : copy;
}
