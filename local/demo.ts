// `npm start -- --demo`: starts the stack, sends the story, shows each message's life until it ends, and judges.
// Ends by itself; status 0 only when every message ended as the story says, in the time allowed.

import { randomBytes } from 'node:crypto';
import type { LedgerItem } from '../shared/queue/delivery.ts';
import type { SmtpSession } from '../shared/smtp/client.ts';
import { type Board, createBoard, type Standing } from './demo-board.ts';
import { type Output, openScreen } from './demo-screen.ts';
import { type DemoTargets, openSession, sendByHttp, sendBySmtp } from './demo-send.ts';
import { type DemoMessage, demoStory } from './demo-story.ts';
import { demoSummary } from './demo-summary.ts';
import { judge, type Verdict } from './demo-verdict.ts';
import { noticeLine } from './log-lines.ts';
import type { Stack, StackOptions } from './stack.ts';

export interface DemoOptions {
  readonly output: Output;
  readonly environment: { readonly CI?: string | undefined; readonly TERM?: string | undefined };
  readonly start: (hooks: Pick<StackOptions, 'log' | 'onFault'>) => Promise<Stack>;
  /** Ends the demo early: what has not ended by then counts as not ended. */
  readonly stop: AbortSignal;
}

/** Two minutes in all, with start and end. */
const TIME_ALLOWED_MS = 105_000;
/** Connections to the sidecar at once: messages that wait together share a transfer. */
const SESSIONS = 4;

/** The exit status. The stack is closed when this settles. */
export async function runDemo({ output, environment, start, stop }: DemoOptions): Promise<number> {
  const story = demoStory(randomBytes(3).toString('hex'), Date.now());
  const board = createBoard(story);
  const asides: string[] = [];
  const finished = Promise.withResolvers<void>();
  let show: (changed: Standing) => void = () => {};
  const changed = (standing: Standing | undefined) => {
    if (standing === undefined) return;
    show(standing);
    if (board.finished()) finished.resolve();
  };
  const stack = await start({
    log: {
      record: (record) => changed(board.record(record)),
      notice: (notice) => {
        if (notice.level !== 'info') asides.push(noticeLine(notice, Date.now()));
      },
    },
    onFault: (error) => asides.push(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  });
  try {
    const recipients = story.reduce((sum, { expected }) => sum + expected.size, 0);
    output.write(`${story.length} messages for ${recipients} recipients; a star marks the end of each.\n\n`);
    const screen = openScreen(output, () => board.standings, Date.now, environment);
    show = (standing) => screen.update(standing);
    const ending = AbortSignal.any([stop, AbortSignal.timeout(TIME_ALLOWED_MS)]);
    const ended = new Promise<void>((resolve) =>
      ending.addEventListener('abort', () => resolve(), { once: true }),
    );
    const sent = sendAll(targetsOf(stack), story, board, changed).catch((error) => {
      asides.push(error instanceof Error ? error.message : String(error));
    });
    await Promise.race([Promise.all([sent, finished.promise]), ended]);
    screen.close();
    show = () => {};
    const verdicts = await Promise.all(board.standings.map((standing) => verdictOf(stack, standing)));
    output.write(`\n${demoSummary(verdicts)}`);
    const wellEnded = verdicts.every(({ faults }) => faults.length === 0);
    if (!wellEnded && asides.length > 0) output.write(`\nMeanwhile:\n${asides.join('\n')}\n`);
    return wellEnded ? 0 : 1;
  } finally {
    await stack.close();
  }
}

function targetsOf(stack: Stack): DemoTargets {
  const smtp = stack.sidecar?.addresses[0];
  if (smtp === undefined) throw new Error('the demo needs a sidecar');
  return { apiUrl: stack.apiUrl, smtp };
}

async function sendAll(
  targets: DemoTargets,
  story: readonly DemoMessage[],
  board: Board,
  changed: (standing: Standing | undefined) => void,
): Promise<void> {
  const handOver = async (message: DemoMessage, send: () => Promise<string | undefined>) => {
    board.started(message, Date.now());
    for (let handovers = 0; handovers < message.handovers; handovers += 1) {
      const reason = await send();
      if (reason === undefined) continue;
      changed(board.refused(message, reason, Date.now()));
      return;
    }
  };
  const bySmtp = story.filter(({ way }) => way === 'smtp').values();
  const smtpSender = async () => {
    let session: SmtpSession | undefined;
    for (const message of bySmtp) {
      if (session?.usable !== true) session = await openSession(targets);
      const open = session;
      await handOver(message, () => sendBySmtp(open, message));
    }
    await session?.quit();
  };
  const httpSender = async () => {
    for (const message of story.filter(({ way }) => way !== 'smtp')) {
      await handOver(message, () => sendByHttp(targets, message));
    }
  };
  await Promise.all([...Array.from({ length: SESSIONS }, smtpSender), httpSender()]);
}

async function verdictOf({ stores, sink }: Stack, standing: Standing): Promise<Verdict> {
  const items: LedgerItem[] = [];
  for (const key of standing.keys) items.push(...(await stores.ledger.readMessage(key)));
  return judge(standing, sink?.received ?? [], items);
}
