// One SMTP case: a plan is drawn, the real client talks to its peer over a socket in memory, and the referee judges.

import type { OpenOutcome, PeerMemory, SmtpSession } from '../../shared/smtp/client.ts';
import { formatReply } from '../../shared/smtp/reply.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import { drawOf } from './draw.ts';
import { MemorySocket } from './memory-socket.ts';
import { createPeer } from './smtp-peer.ts';
import { type CasePlan, drawPlan } from './smtp-plan.ts';
import { judge, type LetterResult, type WireEvent } from './smtp-referee.ts';

/** Far beyond all timeouts of a case, also on a slow machine, and within what is left of a minute's step in CI. */
const HANG_MS = 45_000;

const FORGETFUL: PeerMemory = { recall: async () => new Set(), note: async () => {} };

export interface CaseReport {
  readonly faults: readonly string[];
  /** Octets on the wire: of two failures the smaller is told. */
  readonly sizeBytes: number;
  /** How the messages ended, for the figures. */
  readonly ends: readonly string[];
  readonly story: () => string;
}

export async function smtpCase(seed: number, index: number): Promise<CaseReport> {
  const draw = drawOf(seed, index);
  const plan = drawPlan(draw);
  /** Of the connection that carries mail: the last. */
  let events: WireEvent[] = [];
  const results: LetterResult[] = [];
  const faults: string[] = [];
  let socket: MemorySocket | undefined;
  const client = createSmtpClient({
    memory: FORGETFUL,
    dial: () => {
      const heard: WireEvent[] = [];
      events = heard;
      socket = new MemorySocket(
        (end) => {
          const peer = createPeer(draw, plan.profile, end);
          return {
            heard(octets) {
              heard.push({ by: 'client', octets: Buffer.from(octets) });
              peer.heard(octets);
            },
            gone: peer.gone,
          };
        },
        (octets) => heard.push({ by: 'peer', octets: Buffer.from(octets) }),
        plan,
      );
      return socket;
    },
  });

  let doing = 'open';
  const timer = Promise.withResolvers<'hung'>();
  const hang = setTimeout(() => timer.resolve('hung'), HANG_MS);
  try {
    const end = await Promise.race([
      play().catch((error: unknown) => `threw ${error instanceof Error ? error.stack : String(error)}`),
      timer.promise,
    ]);
    if (end === 'hung') faults.push(`hangs: ${doing}`);
    else if (end !== undefined) faults.push(end);
  } finally {
    clearTimeout(hang);
  }
  if (socket !== undefined && !socket.destroyed) {
    // A QUIT that nobody waits for may still be leaving.
    await new Promise((resolve) => setImmediate(resolve));
    if (!socket.destroyed) faults.push('the socket is left open');
  }
  const { faults: judged, codes } = judge(events, plan.letters, results, plan.isClean);

  async function play(): Promise<string | undefined> {
    const outcome = await client.open({
      host: 'mx.example.net',
      address: '192.0.2.1',
      port: 25,
      source: 'mx',
      mxAuthenticated: false,
      ehloName: 'out.example.com',
      tls: { mode: plan.profile.startTls === 'not offered' ? 'no' : 'ifavailable', verify: false },
      timeouts: plan.timeouts,
    });
    if (outcome.kind === 'failed') return afterFailure(outcome);
    const { session } = outcome;
    if (plan.destroyAfter !== undefined) void destroyLater(session, plan.destroyAfter);
    const open: Promise<void>[] = [];
    for (const letter of plan.letters) {
      doing = `ready for ${letter.name}`;
      await session.ready();
      if (!session.usable) break;
      open.push(
        session.transact(letter.envelope, letter.content).then((result) => {
          results.push({ letter, result });
        }),
      );
    }
    doing = 'transactions';
    await Promise.all(open);
    doing = 'quit';
    await session.quit();
    return undefined;
  }

  function afterFailure(outcome: OpenOutcome & { kind: 'failed' }): string | undefined {
    const isWelcome = plan.isClean && (judge(events, [], [], true).codes[0] ?? 999) < 300;
    return isWelcome
      ? `did not open at a good peer: ${outcome.stage}: ${formatReply(outcome.reply)}`
      : undefined;
  }

  return {
    // One wrong step makes the rest wrong as well.
    faults: [...faults, ...judged].slice(0, 4),
    sizeBytes: events.reduce((sum, { octets }) => sum + octets.length, 0),
    ends: results.flatMap(({ result }) =>
      result.kind === 'unattempted' ? ['unattempted'] : result.outcomes.map(({ kind }) => kind),
    ),
    story: () => storyOf(plan, events, results, codes),
  };
}

async function destroyLater(session: SmtpSession, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  session.destroy();
}

function storyOf(
  plan: CasePlan,
  events: readonly WireEvent[],
  results: readonly LetterResult[],
  codes: readonly (number | undefined)[],
): string {
  const said = events.map(({ by, octets }) => {
    const text = JSON.stringify(octets.toString('latin1'));
    return `${by === 'client' ? 'C' : 'S'}: ${text.length > 300 ? `${text.slice(0, 300)}… (${octets.length})` : text}`;
  });
  const ends = results.map(({ letter, result }) =>
    result.kind === 'unattempted'
      ? `${letter.name}: unattempted: ${result.because}`
      : `${letter.name}: ${result.outcomes.map(({ kind, stage, reply }) => `${kind} at ${stage}: ${formatReply(reply).slice(0, 80)}`).join(' | ')}`,
  );
  const { profile, letters, ...rest } = plan;
  return [
    JSON.stringify({ ...rest, profile, letters: letters.length }),
    ...said,
    ...ends,
    `codes ${codes.join(' ')}`,
  ].join('\n');
}
