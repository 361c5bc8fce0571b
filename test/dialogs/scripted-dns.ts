// A name server on 127.0.0.1 (UDP and TCP, one port) that knows what its script says, one record per line:
//
//   example.net      MX     10 mx.example.net
//   mx.example.net   A      192.0.2.1
//   mx.example.net   AAAA   2001:db8::1
//   www.example.net  CNAME  mx.example.net
//   example.org      MX     SERVFAIL          answered so; REFUSED and NXDOMAIN too
//   example.com      A      SILENT            never answered
//
// A name without a line does not exist; a type without a line is NODATA. An alias is followed as far as the
// script goes, as a recursive server would, and 16 times at most. What is too long for UDP is truncated, and whole
// over TCP. Blank lines and lines that begin with # are skipped.

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import dnsPacket, { type Answer, type Packet, type Question } from 'dns-packet';

export interface ScriptedDns {
  /** For the resolver's list of servers. */
  readonly server: string;
  /** Every question, in order: `example.net MX`, ` over TCP` after those that came so. */
  readonly questions: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Habits {
  /** Names come back in upper case. */
  readonly shouts?: true;
  /** Before each answer over UDP, one with another id that sends mail to 203.0.113.66. */
  readonly isForged?: true;
  /** Questions over TCP are never answered. */
  readonly isMuteOverTcp?: true;
  /** Behind each answer, records that nobody asked for, for 203.0.113.66. */
  readonly chatters?: true;
}

/** Throws when a line is no record. */
export async function startScriptedDns(script: string, habits: Habits = {}): Promise<ScriptedDns> {
  const lines = script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
  const questions: string[] = [];

  /** Undefined: no answer. */
  function answerTo(query: Packet, way: '' | ' over TCP'): Packet | undefined {
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    questions.push(`${question.name} ${question.type}${way}`);
    const said = answer(lines, question);
    if (said === 'SILENT') return undefined;
    const answers = habits.shouts ? said.answers.map(inUpperCase) : [...said.answers];
    return {
      type: 'response',
      id: query.id ?? 0,
      flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | RCODES[said.rcode],
      questions: [habits.shouts ? { ...question, name: question.name.toUpperCase() } : question],
      answers,
      ...(habits.chatters ? { authorities: CHATTER, additionals: CHATTER } : {}),
    };
  }

  const { udp, tcp, port } = await openPort();
  const sockets = new Set<Socket>();
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serveStream(socket, (query) => {
      const reply = answerTo(query, ' over TCP');
      return habits.isMuteOverTcp ? undefined : reply;
    });
  });
  udp.on('message', (message, from: RemoteInfo) => {
    const query = dnsPacket.decode(message);
    const reply = answerTo(query, '');
    if (reply === undefined) return;
    if (habits.isForged) udp.send(dnsPacket.encode(forged(reply)), from.port, from.address);
    const whole = dnsPacket.encode(reply);
    const cut = { ...reply, flags: (reply.flags ?? 0) | dnsPacket.TRUNCATED_RESPONSE, answers: [] };
    udp.send(whole.length > roomOf(query) ? dnsPacket.encode(cut) : whole, from.port, from.address);
  });
  return {
    server: `127.0.0.1:${port}`,
    questions,
    async [Symbol.asyncDispose]() {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all([once(udp, 'close'), once(tcp, 'close')]);
    },
  };
}

/** A port that is free for both; one that is free for TCP may be taken for UDP. */
async function openPort(): Promise<{ readonly udp: UdpSocket; readonly tcp: Server; readonly port: number }> {
  for (let left = 20; ; left -= 1) {
    const tcp = createServer().listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const address = tcp.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const udp = createSocket('udp4');
    try {
      udp.bind(port, '127.0.0.1');
      await once(udp, 'listening');
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      tcp.close();
      if (left === 0) throw error;
    }
  }
}

/** RFC 1035 §4.1.1. */
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
type Rcode = keyof typeof RCODES;

const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'TXT'] as const;

const MAX_ALIASES = 16;
const STRANGER = '203.0.113.66';
const CHATTER: Answer[] = [
  { name: 'mx.example.net', type: 'A', ttl: 300, data: STRANGER },
  { name: 'example.net', type: 'MX', ttl: 300, data: { preference: 0, exchange: 'mx.stranger.example' } },
];

/** RFC 6891 §6.2.3: 512 octets unless the question says more. */
function roomOf(query: Packet): number {
  const option = query.additionals?.find((record) => record.type === 'OPT');
  return option?.type === 'OPT' ? Math.max(512, option.udpPayloadSize) : 512;
}

function forged(reply: Packet): Packet {
  const [question] = reply.questions ?? [];
  const name = question?.name ?? '';
  const answers: Answer[] =
    question?.type === 'MX'
      ? [{ name, type: 'MX', ttl: 300, data: { preference: 0, exchange: 'mx.stranger.example' } }]
      : [{ name, type: 'A', ttl: 300, data: STRANGER }];
  return { ...reply, id: ((reply.id ?? 0) + 1) % 65_536, answers };
}

function inUpperCase(record: Answer): Answer {
  const name = record.name.toUpperCase();
  if (record.type === 'MX')
    return { ...record, name, data: { ...record.data, exchange: record.data.exchange.toUpperCase() } };
  if (record.type === 'CNAME') return { ...record, name, data: record.data.toUpperCase() };
  return { ...record, name };
}

/** RFC 7766: each message behind its length. */
function serveStream(socket: Socket, answerTo: (query: Packet) => Packet | undefined): void {
  let unread = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 2 && unread.length >= 2 + unread.readUInt16BE(0)) {
      const end = 2 + unread.readUInt16BE(0);
      const reply = answerTo(dnsPacket.decode(unread.subarray(2, end)));
      unread = unread.subarray(end);
      if (reply !== undefined) socket.write(dnsPacket.streamEncode(reply));
    }
  });
}

interface Line {
  readonly name: string;
  readonly type: (typeof TYPES)[number];
  readonly data: string;
}

function parseLine(line: string): Line {
  const [, name = '', word = '', data = ''] = /^(\S+)\s+(\S+)\s+(.+)$/.exec(line) ?? [];
  const type = TYPES.find((known) => known === word);
  if (type === undefined) throw new Error(`no record: ${line}`);
  return { name: name.toLowerCase(), type, data };
}

function answer(
  lines: readonly Line[],
  question: Question,
): 'SILENT' | { readonly rcode: Rcode; readonly answers: readonly Answer[] } {
  const answers: Answer[] = [];
  let name = question.name.toLowerCase();
  for (let step = 0; step <= MAX_ALIASES; step += 1) {
    const known = lines.filter((line) => line.name === name);
    if (known.length === 0) return { rcode: 'NXDOMAIN', answers };
    const alias = known.find((line) => line.type === 'CNAME');
    if (alias === undefined || question.type === 'CNAME') {
      for (const { type, data } of known.filter((line) => line.type === question.type)) {
        if (data === 'SILENT') return data;
        if (data === 'SERVFAIL' || data === 'REFUSED' || data === 'NXDOMAIN') return { rcode: data, answers };
        answers.push(toAnswer(name, type, data));
      }
      return { rcode: 'NOERROR', answers };
    }
    answers.push(toAnswer(name, 'CNAME', alias.data));
    name = alias.data.toLowerCase();
  }
  return { rcode: 'NOERROR', answers };
}

function toAnswer(name: string, type: Line['type'], data: string): Answer {
  if (type !== 'MX') return { name, type, ttl: 300, data };
  const [preference = '', exchange = ''] = data.split(/\s+/);
  return { name, type, ttl: 300, data: { preference: Number(preference), exchange } };
}
