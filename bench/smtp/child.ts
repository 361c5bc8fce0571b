// A process of the bench's own that answers questions, one at a time, until its parent goes away. Both sides parse
// what they hear. A question that fails in the child rejects in the parent with the child's words.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';

const answerShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('answer'), value: z.unknown() }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);

export interface Child {
  readonly pid: number;
  ask<T>(question: object, answer: z.ZodMiniType<T>): Promise<T>;
  /** Resolves when it has ended. */
  close(): Promise<void>;
}

/** `file` is a module beside this one. Resolves when it can be asked. */
export async function startChild(
  file: string,
  args: readonly string[] = [],
  execArgv: readonly string[] = [],
): Promise<Child> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
    execArgv: [...execArgv],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { promise: ended, reject: end } = Promise.withResolvers<never>();
  ended.catch(() => {});
  const exited = once(child, 'exit').then(() => end(new Error(`the process of ${file} ended`)));
  const heard = async () => {
    const [message]: readonly unknown[] = await Promise.race([once(child, 'message'), ended]);
    const answer = answerShape.parse(message);
    if (answer.kind === 'failed') throw new Error(`${file}: ${answer.message}`);
    return answer.kind === 'answer' ? answer.value : undefined;
  };
  await heard();
  let before: Promise<unknown> = Promise.resolve();
  return {
    pid: child.pid ?? 0,
    ask(question, answer) {
      const asked = before
        .catch(() => {})
        .then(() => {
          const reply = heard();
          child.send(question);
          return reply;
        });
      before = asked;
      return asked.then((value) => answer.parse(value));
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** In the child: answers until the parent disconnects, then ends the process. */
export function answerAll<T>(question: z.ZodMiniType<T>, answer: (question: T) => Promise<unknown>): void {
  process.on('message', async (message) => {
    try {
      process.send?.({ kind: 'answer', value: await answer(question.parse(message)) });
    } catch (error) {
      process.send?.({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
    }
  });
  process.once('disconnect', () => process.exit());
  // Ctrl-C reaches every process of the terminal: the parent ends this one in its turn.
  process.on('SIGINT', () => {});
  process.send?.({ kind: 'ready' });
}
