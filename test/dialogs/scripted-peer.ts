// An SMTP server that follows a script, line by line, on 127.0.0.1. One line is one step:
//
//   S: 250-mx.example.net        says the line, with CRLF
//   C: EHLO out.example.com      waits for exactly this line
//   C: /^MAIL FROM:<a@/          or for one that matches
//   C: (content)                 waits for content up to its final dot, and keeps it
//   C: (7 octets)                waits for seven octets, for what breaks off within the content
//   raw "250 o"                  says exactly these octets, written as a JSON string
//   split 1                      from here on says everything in packets of one octet
//   wait 50                      lets 50 ms pass
//   quiet 50                     the same, and fails when the client says anything meanwhile
//   starttls                     takes the TLS handshake
//   silence                      says nothing more and waits until the client is gone
//   no more                      the same, and fails when the client says anything before it goes
//   drop                         resets the connection
//   --- next connection          what follows is for the next connection
//
// Blank lines and lines that begin with # are skipped. At the end of the script the peer closes. Commands that
// came together wait their turn, so a script in which C: lines follow each other asks for pipelining.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SELF_SIGNED } from './self-signed.ts';

export interface ScriptedPeer {
  readonly port: number;
  /** The content of each message, in order, with its dot-stuffing undone; the last CRLF belongs to it. */
  readonly contents: readonly Buffer[];
  /** The same as it was on the wire, up to and without the final dot's line. */
  readonly rawContents: readonly Buffer[];
  /** Everything said, both ways, one line each, contents left out. */
  readonly transcript: readonly string[];
  /** The address that each connection came from. */
  readonly clients: readonly string[];
  /** Resolves when the whole script was played; throws, with the transcript, when the client left it. */
  played(): Promise<void>;
  /** Closes the listener and every connection. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The opening that most scripts share: greeting and EHLO, answered with these extensions. */
export function greeted(...extensions: readonly string[]): string {
  const lines = ['mx.example.net', ...extensions];
  return [
    'S: 220 mx.example.net ESMTP',
    'C: EHLO out.example.com',
    ...lines.map((line, i) => `S: 250${i === lines.length - 1 ? ' ' : '-'}${line}`),
  ].join('\n');
}

/** `script` may be one text, or one per connection, or read before. Throws when a line is no step. */
export async function startScriptedPeer(...script: readonly (string | Scene)[]): Promise<ScriptedPeer> {
  const scenes = script.flatMap((part) => (typeof part === 'string' ? parseScenes(part) : [part]));
  const contents: Buffer[] = [];
  const rawContents: Buffer[] = [];
  const transcript: string[] = [];
  const clients: string[] = [];
  const sockets = new Set<Socket>();
  const scenesOver = scenes.map(() => Promise.withResolvers<void>());
  for (const over of scenesOver) over.promise.catch(() => {});
  let nextScene = 0;

  const server = createServer((socket) => {
    const scene = nextScene++;
    const steps = scenes[scene];
    sockets.add(socket);
    clients.push(socket.remoteAddress ?? '');
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    if (steps === undefined) {
      transcript.push('(a connection that the script does not know)');
      socket.destroy();
      return;
    }
    play(steps, socket, { contents, rawContents, transcript }).then(
      () => scenesOver[scene]?.resolve(),
      (error: unknown) => {
        socket.destroy();
        scenesOver[scene]?.reject(error);
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the peer has no port');

  async function stop(): Promise<void> {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  }

  return {
    port: address.port,
    contents,
    rawContents,
    transcript,
    clients,
    async played() {
      try {
        await Promise.all(scenesOver.map((over) => over.promise));
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${why}\n${transcript.join('\n')}`, { cause });
      }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** What one connection plays. */
export type Scene = readonly PlacedStep[];

interface PlacedStep {
  readonly step: Step;
  /** Where the step is written, for the reader of a fault. */
  readonly at: string;
}

type Step =
  | { readonly do: 'say'; readonly octets: Buffer }
  | { readonly do: 'expect'; readonly line: string | RegExp }
  | { readonly do: 'content' }
  | { readonly do: 'octets'; readonly count: number }
  | { readonly do: 'split'; readonly size: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'quiet'; readonly ms: number }
  | { readonly do: 'starttls' }
  | { readonly do: 'silence' }
  | { readonly do: 'no more' }
  | { readonly do: 'drop' };

/** One scene for each connection. `where` names a line, counted from 1. Throws, with it, when a line is no step. */
export function parseScenes(text: string, where = (line: number): string => `line ${line}`): Scene[] {
  const scenes: PlacedStep[][] = [[]];
  for (const [index, untrimmed] of text.split('\n').entries()) {
    const line = untrimmed.trim();
    const at = where(index + 1);
    if (line === '' || line.startsWith('#')) continue;
    if (line === '--- next connection') scenes.push([]);
    else scenes.at(-1)?.push({ step: parsePlacedStep(line, at), at });
  }
  return scenes;
}

function parsePlacedStep(line: string, at: string): Step {
  try {
    return parseStep(line);
  } catch (cause) {
    throw new Error(`${at}: no step of a script: ${line}`, { cause });
  }
}

function parseStep(line: string): Step {
  if (line === 'no more') return { do: line };
  const [, word = '', rest = ''] = /^(\S+) ?(.*)$/.exec(line) ?? [];
  switch (word) {
    case 'S:':
      return { do: 'say', octets: Buffer.from(`${rest}\r\n`) };
    case 'raw':
      return { do: 'say', octets: Buffer.from(String(JSON.parse(rest)), 'latin1') };
    case 'C:': {
      if (rest === '(content)') return { do: 'content' };
      const count = /^\((\d+) octets\)$/.exec(rest)?.[1];
      if (count !== undefined) return { do: 'octets', count: Number(count) };
      const pattern = /^\/(.*)\/$/.exec(rest)?.[1];
      return { do: 'expect', line: pattern === undefined ? rest : new RegExp(pattern) };
    }
    case 'split':
      return { do: 'split', size: wholeNumber(rest) };
    case 'wait':
    case 'quiet':
      return { do: word, ms: wholeNumber(rest) };
    case 'starttls':
    case 'silence':
    case 'drop':
      return { do: word };
    default:
      throw new Error('an unknown word');
  }
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error('not a whole number');
  return Number(text);
}

interface Records {
  readonly contents: Buffer[];
  readonly rawContents: Buffer[];
  readonly transcript: string[];
}

/** Throws with the place of the step that failed. */
async function play(scene: Scene, tcp: Socket, records: Records): Promise<void> {
  let at = '';
  try {
    await playSteps(toPlay(), tcp, records);
  } catch (cause) {
    throw new Error(`${at}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }

  function* toPlay(): Generator<Step> {
    for (const placed of scene) {
      at = placed.at;
      yield placed.step;
    }
  }
}

async function playSteps(steps: Iterable<Step>, tcp: Socket, records: Records): Promise<void> {
  const { transcript } = records;
  let line = openLine(tcp);
  let splitSize = Number.POSITIVE_INFINITY;
  for (const step of steps) {
    switch (step.do) {
      case 'say':
        transcript.push(`S: ${step.octets.toString('latin1').trimEnd()}`);
        await say(line.socket, step.octets, splitSize);
        break;
      case 'expect': {
        const said = (await line.upTo('\r\n')).toString('utf8').slice(0, -2);
        transcript.push(`C: ${said}`);
        const fits = typeof step.line === 'string' ? said === step.line : step.line.test(said);
        if (!fits) throw new Error(`the script expects: ${step.line}, the client said: ${said}`);
        break;
      }
      case 'content': {
        const raw = await line.content();
        transcript.push(`C: (content, ${raw.length} octets)`);
        records.rawContents.push(raw);
        records.contents.push(unstuffed(raw));
        break;
      }
      case 'octets':
        transcript.push(`C: (${(await line.exactly(step.count)).length} octets)`);
        break;
      case 'split':
        splitSize = step.size;
        break;
      case 'wait':
        await new Promise((resolve) => setTimeout(resolve, step.ms));
        break;
      case 'quiet': {
        await new Promise((resolve) => setTimeout(resolve, step.ms));
        const said = line.unread();
        if (said !== '') throw new Error(`the script expects nothing yet, the client said: ${said}`);
        break;
      }
      case 'starttls': {
        const secured = new TLSSocket(tcp, { isServer: true, ...SELF_SIGNED });
        secured.on('error', () => {});
        line = openLine(secured);
        transcript.push('(TLS)');
        break;
      }
      case 'silence':
        await line.gone;
        break;
      case 'no more': {
        await line.gone;
        const said = line.unread();
        if (said !== '') throw new Error(`the script expects no more, the client said: ${said}`);
        break;
      }
      case 'drop':
        tcp.resetAndDestroy();
        return;
    }
  }
  line.socket.end();
}

async function say(socket: Socket, octets: Buffer, splitSize: number): Promise<void> {
  socket.setNoDelay(true);
  for (let from = 0; from < octets.length; from += splitSize) {
    const packet = octets.subarray(from, Math.min(from + splitSize, octets.length));
    await new Promise((resolve) => socket.write(packet, resolve));
    // Each packet on a turn of its own, so that the client reads them apart.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Reads from one end of a connection; rejects when the client goes before it said what is waited for. */
function openLine(socket: Socket) {
  let buffered = Buffer.alloc(0);
  let isGone = false;
  let wake = (): void => {};
  const gone = new Promise<void>((resolve) => {
    for (const event of ['end', 'close']) {
      socket.once(event, () => {
        isGone = true;
        resolve();
        wake();
      });
    }
  });
  socket.on('data', (octets: Buffer) => {
    buffered = Buffer.concat([buffered, octets]);
    wake();
  });

  /** Takes the octets whose count `find` tells, once it tells one. */
  async function take(find: () => number | undefined): Promise<Buffer> {
    for (;;) {
      const count = find();
      if (count !== undefined) {
        const taken = buffered.subarray(0, count);
        buffered = buffered.subarray(count);
        return taken;
      }
      if (isGone)
        throw new Error(`the client is gone, last heard: ${JSON.stringify(buffered.toString('latin1'))}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    socket,
    gone,
    unread: () => buffered.toString('latin1'),
    upTo: (end: string) =>
      take(() => {
        const at = buffered.indexOf(end);
        return at === -1 ? undefined : at + end.length;
      }),
    exactly: (count: number) => take(() => (buffered.length < count ? undefined : count)),
    /** Content up to the line of the final dot, which is taken and left out (RFC 5321 §4.1.1.4). */
    async content(): Promise<Buffer> {
      const taken = await take(() => {
        if (buffered.subarray(0, 3).equals(FINAL_DOT)) return 3;
        const at = buffered.indexOf(CRLF_FINAL_DOT);
        return at === -1 ? undefined : at + CRLF_FINAL_DOT.length;
      });
      return taken.subarray(0, -FINAL_DOT.length);
    },
  };
}

const FINAL_DOT = Buffer.from('.\r\n');
const CRLF_FINAL_DOT = Buffer.from('\r\n.\r\n');

/** RFC 5321 §4.5.2: a dot that begins a line, after CRLF and nothing else, is taken away. */
function unstuffed(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = raw[0] === 0x2e ? 1 : 0;
  for (let at = raw.indexOf('\r\n.'); at !== -1; at = raw.indexOf('\r\n.', at + 2)) {
    parts.push(raw.subarray(from, at + 2));
    from = at + 3;
  }
  parts.push(raw.subarray(from));
  return Buffer.concat(parts);
}
