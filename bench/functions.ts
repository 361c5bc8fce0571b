// The bench's side of the process that runs the functions: starts it, invokes them, asks for measurements.
// Rejects when an invocation throws, and when the process ends while something is awaited.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { APIGatewayProxyStructuredResultV2, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { ApiEvent } from '../local/api-event.ts';
import { DELIVER_TIMEOUT_SECONDS, RECEIVE_TIMEOUT_SECONDS } from '../shared/aws/limits.ts';
import { type Answer, answerShape, type Measured, type Request, type Setup } from './protocol.ts';

export interface Functions {
  receive(event: ApiEvent): Promise<APIGatewayProxyStructuredResultV2>;
  deliver(event: SQSEvent): Promise<SQSBatchResponse>;
  /** What was used since the last call. */
  measure(): Promise<Measured>;
  close(): Promise<void>;
}

export interface FunctionsOptions {
  /** The project, or another checkout of it with the same bench. */
  readonly root: string;
  readonly setup: Setup;
  /** Writes a CPU profile there when it ends. */
  readonly profileFolder?: string;
}

type Sent = Request extends infer One ? (One extends Request ? Omit<One, 'call'> : never) : never;

export async function startFunctions(options: FunctionsOptions): Promise<Functions> {
  const { root, setup, profileFolder } = options;
  const child = fork(join(root, 'bench', 'function-process.ts'), [JSON.stringify(setup)], {
    cwd: root,
    execArgv: profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`],
    serialization: 'advanced',
    // The log goes where it costs little, as the pipe to Lambda's runtime does.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  let calls = 0;
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      const answer = answerShape.parse(message);
      if (answer.kind === 'ready') {
        resolve();
        return;
      }
      waiting.get(answer.call)?.resolve(answer);
      waiting.delete(answer.call);
    });
    void exited.then(() => {
      const error = new Error('the process of the functions ended');
      reject(error);
      for (const each of waiting.values()) each.reject(error);
    });
  });
  await ready;

  const ask = (request: Sent): Promise<Answer> => {
    calls += 1;
    const call = calls;
    return new Promise((resolve, reject) => {
      waiting.set(call, { resolve, reject });
      child.send({ ...request, call });
    });
  };
  const invoke = async (functionName: 'receive' | 'deliver', event: object, seconds: number) => {
    const answer = await ask({
      kind: 'invoke',
      functionName,
      event: JSON.stringify(event),
      timeoutMs: seconds * 1_000,
    });
    if (answer.kind !== 'result') {
      throw new Error(`${functionName} failed: ${answer.kind === 'failed' ? answer.message : answer.kind}`);
    }
    return answer.result;
  };
  return {
    async receive(event) {
      const result: APIGatewayProxyStructuredResultV2 = JSON.parse(
        await invoke('receive', event, RECEIVE_TIMEOUT_SECONDS),
      );
      return result;
    },
    async deliver(event) {
      const result: SQSBatchResponse = JSON.parse(await invoke('deliver', event, DELIVER_TIMEOUT_SECONDS));
      return result;
    },
    async measure() {
      const answer = await ask({ kind: 'measure' });
      if (answer.kind !== 'measured') throw new Error('the process of the functions measured nothing');
      return answer.measured;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
