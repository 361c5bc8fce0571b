// A name server on 127.0.0.1 (UDP) that knows what its script says, one record per line:
//
//   example.net      MX     10 mx.example.net
//   mx.example.net   A      192.0.2.1
//   mx.example.net   AAAA   2001:db8::1
//   www.example.net  CNAME  mx.example.net
//   example.org      MX     SERVFAIL          answered so; REFUSED and NXDOMAIN too
//   example.com      A      SILENT            never answered
//
// A name without a line does not exist; a type without a line is NODATA. An alias is followed as far as the
// script goes, as a recursive server would. Blank lines and lines that begin with # are skipped.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import dnsPacket, { type Answer, type Question } from 'dns-packet';

export interface ScriptedDns {
  /** For the resolver's list of servers. */
  readonly server: string;
  /** Every question, in order: `example.net MX`. */
  readonly questions: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Throws when a line is no record. */
export async function startScriptedDns(script: string): Promise<ScriptedDns> {
  const lines = script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
  const questions: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const query = dnsPacket.decode(message);
    const question = query.questions?.[0];
    if (question === undefined) return;
    questions.push(`${question.name} ${question.type}`);
    const said = answer(lines, question);
    if (said === 'SILENT') return;
    const reply = dnsPacket.encode({
      type: 'response',
      id: query.id ?? 0,
      flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | RCODES[said.rcode],
      questions: [question],
      answers: [...said.answers],
    });
    socket.send(reply, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    server: `127.0.0.1:${socket.address().port}`,
    questions,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** RFC 1035 §4.1.1. */
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
type Rcode = keyof typeof RCODES;

const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'TXT'] as const;

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
  for (;;) {
    const known = lines.filter((line) => line.name === name);
    if (known.length === 0) return { rcode: 'NXDOMAIN', answers };
    const alias = known.find((line) => line.type === 'CNAME');
    if (alias === undefined) {
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
}

function toAnswer(name: string, type: Line['type'], data: string): Answer {
  if (type !== 'MX') return { name, type, ttl: 300, data };
  const [preference = '', exchange = ''] = data.split(/\s+/);
  return { name, type, ttl: 300, data: { preference: Number(preference), exchange } };
}
