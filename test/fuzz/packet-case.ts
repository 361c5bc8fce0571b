// One case of DNS on the wire: Node's own resolver (c-ares) asks a name server on 127.0.0.1 whose answers are drawn and
// then spoilt: octets changed, cut, lengthened, with other ids and rcodes, or left out.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import dnsPacket, { type Answer } from 'dns-packet';
import { createAddressPolicy, createRoutePolicy } from '../../shared/routing/address-policy.ts';
import { createRouter } from '../../shared/routing/create-router.ts';
import { createDnsResolver } from '../../shared/routing/dns-resolver.ts';
import type { RouteOutcome } from '../../shared/routing/router.ts';
import { type Draw, drawOf } from './draw.ts';
import { FORBIDDEN, PUBLIC, type RouteReport } from './route-case.ts';

const HANG_MS = 45_000;

export interface PacketServer {
  run(seed: number, index: number): Promise<RouteReport>;
  close(): Promise<void>;
}

/** One socket for all cases; each case asks for a domain of its own. */
export async function startPacketServer(): Promise<PacketServer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const cases = new Map<string, Spoiler>();
  socket.on('message', (message, from) => {
    const query = dnsPacket.decode(message);
    const name = query.questions?.[0]?.name.toLowerCase() ?? '';
    const label = name.split('.').at(-2) ?? '';
    for (const packet of cases.get(label)?.answer(query.id ?? 0, name, query.questions?.[0]?.type ?? 'A') ??
      []) {
      socket.send(packet, from.port, from.address);
    }
  });
  return {
    run: (seed, index) => packetCase(socket, cases, seed, index),
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

interface Spoiler {
  answer(id: number, name: string, type: string): readonly Buffer[];
}

async function packetCase(
  socket: Socket,
  cases: Map<string, Spoiler>,
  seed: number,
  index: number,
): Promise<RouteReport> {
  const draw = drawOf(seed, index);
  const label = `case${index}`;
  /** Answers to the question for the MX, or for addresses where there is none, that say yes or no. */
  let verdicts = 0;
  const said: string[] = [];
  cases.set(label, {
    answer(id, name, type) {
      const packets = drawPackets(draw, id, name, type);
      for (const packet of packets) {
        said.push(`${name} ${type}: ${packet.toString('hex')}`);
        if (isVerdict(packet, id)) verdicts += 1;
      }
      return packets;
    },
  });
  const router = createRouter({
    dns: createDnsResolver({ servers: [`127.0.0.1:${socket.address().port}`], timeoutMs: 100, tries: 1 }),
    policy: createAddressPolicy({ allow: [] }),
    routePolicy: createRoutePolicy({ allow: [] }),
    settingsFor: () => ({ routes: [], port: 25, skipHosts: [], tls: { mode: 'no', verify: false } }),
    usualPort: 25,
    random: () => 0,
    ownNames: [],
    maxHosts: 3,
  });
  const faults: string[] = [];
  let outcome: RouteOutcome | undefined;
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), HANG_MS);
  try {
    outcome = await Promise.race([router.route(`${label}.example`), late.promise]);
    if (outcome === undefined) faults.push('hangs');
    if (outcome?.kind === 'permanent' && verdicts === 0)
      faults.push(`permanent without an answer: ${outcome.reply.text}`);
    if (outcome?.kind === 'hops') {
      for (const { address } of outcome.hops)
        if (isForbidden(address)) faults.push(`a hop to ${address}, where no mail may go`);
    }
  } catch (error) {
    faults.push(`threw ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    clearTimeout(timer);
    cases.delete(label);
  }
  return {
    faults,
    kind: outcome?.kind ?? 'threw',
    story: () => [...said, JSON.stringify(outcome)].join('\n'),
  };
}

function drawPackets(draw: Draw, id: number, name: string, type: string): readonly Buffer[] {
  const rcode = draw.weighted([
    [24, 0],
    [1, 3],
    [1, 2],
    [1, 5],
    [1, 1],
  ]);
  const answers = rcode === 0 ? drawAnswers(draw, name, type) : [];
  const packet = Buffer.from(
    dnsPacket.encode({
      type: 'response',
      id,
      flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | rcode,
      questions: [{ name, type: type === 'MX' ? 'MX' : type === 'AAAA' ? 'AAAA' : 'A' }],
      answers,
    }),
  );
  return draw.weighted<() => readonly Buffer[]>([
    [24, () => [packet]],
    [6, () => [spoilt(draw, packet)]],
    [1, () => [packet.subarray(0, draw.below(packet.length))]],
    [1, () => [Buffer.concat([packet, Buffer.alloc(1 + draw.below(40), draw.below(256))])]],
    [1, () => [spoilt(draw, packet), packet]],
    [1, () => []],
    // A name that points to itself.
    [1, () => [Buffer.concat([packet.subarray(0, 12), Buffer.from([0xc0, 0x0c]), packet.subarray(14)])]],
  ])();
}

function drawAnswers(draw: Draw, name: string, type: string): Answer[] {
  const count = draw.weighted([
    [1, 0],
    [4, 1],
    [1, 5],
  ]);
  return Array.from({ length: count }, (_, at): Answer => {
    if (draw.chance(0.1)) return { name, type: 'CNAME', ttl: 60, data: `alias${at}.${name}` };
    const address = draw.pick(
      (draw.chance(0.6) ? PUBLIC : FORBIDDEN).filter((one) => isIPv4(one) === (type !== 'AAAA')),
    );
    if (type === 'MX')
      return {
        name,
        type,
        ttl: 60,
        data: { preference: at, exchange: draw.chance(0.1) ? '.' : `mx${at}.${name}` },
      };
    return { name, type: type === 'AAAA' ? 'AAAA' : 'A', ttl: 60, data: address };
  });
}

/** The id stays, mostly, so that the answer is looked at. */
function spoilt(draw: Draw, packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  for (let left = 1 + draw.below(6); left > 0; left -= 1) {
    const at = draw.chance(0.05) ? draw.below(2) : 2 + draw.below(copy.length - 2);
    copy[at] = draw.chance(0.5) ? draw.below(256) : draw.pick([0, 0xff, 0xc0, 0x0c, 0x3f, 0x40]);
  }
  return copy;
}

/** Under this question's id, and no failure: c-ares reads answers also under odd rcodes and without the response bit. */
function isVerdict(packet: Buffer, id: number): boolean {
  if (packet.length < 12 || packet.readUInt16BE(0) !== id) return false;
  const [formatError, serverFailure, notImplemented, refused] = [1, 2, 4, 5];
  return ![formatError, serverFailure, notImplemented, refused].includes(packet.readUInt16BE(2) & 0xf);
}

/** Told by its octets alone; the router's own policy has no part in it. */
function isForbidden(address: string): boolean {
  if (!isIPv4(address)) return !/^[23][0-9a-f]{3}:/.test(address) || /^2001:0?db8:/.test(address);
  const [a = 0, b = 0, c = 0] = address.split('.').map(Number);
  if (a === 0 || a === 10 || a === 127 || a >= 224) return true;
  if (a === 100) return b >= 64 && b < 128;
  if (a === 169) return b === 254;
  if (a === 172) return b >= 16 && b < 32;
  if (a === 192) return b === 168 || (b === 0 && (c === 0 || c === 2));
  if (a === 198) return b === 18 || b === 19 || (b === 51 && c === 100);
  return address === '168.63.129.16' || (a === 203 && b === 0 && c === 113);
}
