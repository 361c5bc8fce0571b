// A small authoritative DNS server for the sink's domains, so that the whole way runs without the network.
// Promises: names of its zones get their records, NODATA or NXDOMAIN (RFC 2308, with the SOA); names listed as
// failing get SERVFAIL; everything else is REFUSED. UDP answers over 512 octets, or over what the query's
// EDNS allows, are truncated, and TCP on the same port has them whole.
// Limits: no wildcards, no delegation, no DNSSEC.

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server as TcpServer, type Socket as TcpSocket } from 'node:net';
import dnsPacket, { type Answer, type DecodedPacket, type Packet, type Question } from 'dns-packet';

export interface DnsRecords {
  /** Zones that this server answers for: `test` answers for every name below it. */
  readonly zones: readonly string[];
  /** By lower-case name without a final dot. */
  readonly records: Readonly<Record<string, readonly DnsData[]>>;
  /** Names answered with SERVFAIL. */
  readonly failing?: readonly string[];
}

export type DnsData =
  | { readonly type: 'A' | 'AAAA' | 'TXT' | 'CNAME'; readonly data: string }
  | { readonly type: 'MX'; readonly preference: number; readonly exchange: string };

export interface DnsServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

const TTL_SECONDS = 5;
/** RFC 1035 §4.2.1: a UDP message without EDNS. */
const MAX_UDP_BYTES = 512;
/** Tries to find a port that is free for both UDP and TCP. */
const PORT_TRIES = 10;

/** Port 0 takes one that is free for UDP and TCP. Rejects when the given port is taken. */
export async function startDnsServer(
  data: DnsRecords,
  address: { readonly host: string; readonly port: number },
): Promise<DnsServer> {
  for (let tries = 1; ; tries += 1) {
    const udp = await listenUdp(data, address.host, address.port);
    const { port } = udp.address();
    try {
      const tcp = await listenTcp(data, address.host, port);
      return { host: address.host, port, close: () => closeBoth(udp, tcp) };
    } catch (error) {
      udp.close();
      if (address.port !== 0 || tries === PORT_TRIES) throw error;
    }
  }
}

async function listenUdp(data: DnsRecords, host: string, port: number): Promise<UdpSocket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, peer) => {
    const query = decoded(message);
    if (query === undefined) return;
    const reply = answerQuery(data, query);
    const whole = dnsPacket.encode(reply);
    const fits = whole.length <= udpRoom(query);
    const sent = fits ? whole : dnsPacket.encode({ ...header(query, 0, dnsPacket.TRUNCATED_RESPONSE) });
    socket.send(sent, peer.port, peer.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve();
    });
  });
  return socket;
}

interface TcpSide {
  readonly server: TcpServer;
  readonly sockets: ReadonlySet<TcpSocket>;
}

async function listenTcp(data: DnsRecords, host: string, port: number): Promise<TcpSide> {
  const sockets = new Set<TcpSocket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    let pending = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const query = decoded(pending.subarray(2, end));
        pending = pending.subarray(end);
        if (query === undefined) return socket.destroy();
        socket.write(dnsPacket.streamEncode(answerQuery(data, query)));
      }
      return undefined;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return { server, sockets };
}

async function closeBoth(udp: UdpSocket, { server, sockets }: TcpSide): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await Promise.all([
    new Promise<void>((resolve) => udp.close(() => resolve())),
    new Promise<void>((resolve) => server.close(() => resolve())),
  ]);
}

function decoded(message: Buffer): DecodedPacket | undefined {
  try {
    return dnsPacket.decode(message);
  } catch {
    return undefined;
  }
}

/** The query's EDNS payload size (RFC 6891 §6.2.3), at least 512. */
function udpRoom(query: DecodedPacket): number {
  const edns = query.additionals?.find((record) => record.type === 'OPT');
  return Math.max(MAX_UDP_BYTES, edns?.type === 'OPT' ? edns.udpPayloadSize : 0);
}

/** RCODEs of RFC 1035 §4.1.1. */
const RCODE = { ok: 0, serverFailure: 2, nameError: 3, refused: 5 } as const;

function answerQuery(data: DnsRecords, query: DecodedPacket): Packet {
  const question = query.questions?.[0];
  if (question === undefined) return header(query, RCODE.refused);
  const name = question.name.toLowerCase();
  const zone = data.zones.find((candidate) => name === candidate || name.endsWith(`.${candidate}`));
  if (zone === undefined) return header(query, RCODE.refused);
  if (data.failing?.includes(name)) return header(query, RCODE.serverFailure);
  const records = data.records[name];
  if (records === undefined) {
    const isParent = Object.keys(data.records).some((known) => known.endsWith(`.${name}`));
    const rcode = isParent || name === zone ? RCODE.ok : RCODE.nameError;
    return { ...header(query, rcode, dnsPacket.AUTHORITATIVE_ANSWER), authorities: [startOfAuthority(zone)] };
  }
  const answers = records
    .filter((record) => record.type === question.type || record.type === 'CNAME')
    .map((record) => answerRecord(question, record));
  const authorities = answers.length === 0 ? [startOfAuthority(zone)] : [];
  return { ...header(query, RCODE.ok, dnsPacket.AUTHORITATIVE_ANSWER), answers, authorities };
}

function header(query: DecodedPacket, rcode: number, flags = 0): Packet {
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: flags | rcode | ((query.flags ?? 0) & dnsPacket.RECURSION_DESIRED),
    questions: query.questions ?? [],
  };
}

function answerRecord(question: Question, record: DnsData): Answer {
  const common = { name: question.name, ttl: TTL_SECONDS };
  switch (record.type) {
    case 'MX':
      return { ...common, type: 'MX', data: { preference: record.preference, exchange: record.exchange } };
    case 'TXT':
      return { ...common, type: 'TXT', data: record.data };
    case 'A':
    case 'AAAA':
    case 'CNAME':
      return { ...common, type: record.type, data: record.data };
  }
}

function startOfAuthority(zone: string): Answer {
  return {
    name: zone,
    type: 'SOA',
    ttl: TTL_SECONDS,
    data: {
      mname: `ns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 3_600,
      retry: 600,
      expire: 86_400,
      minimum: TTL_SECONDS,
    },
  };
}
