// The content of one transaction: taken off the wire, kept, handed in, and answered.

import { ownReply, type Reply } from '../../shared/smtp/reply.ts';
import { type Content, ContentFailedError, ContentWriter } from '../intake/content.ts';
import type { MemoryBudget } from '../intake/memory-budget.ts';
import type { Client } from '../intake/submission.ts';
import { ContentReader } from './content-reader.ts';
import { NO_MEMORY } from './dialogue.ts';
import type { Mail } from './mail.ts';
import type { ListenerSettings } from './settings.ts';
import type { TurnedAway } from './turned-away.ts';

export class Incoming {
  readonly #mail: Mail;
  readonly #reader = new ContentReader();
  readonly #writer: ContentWriter;
  #wireBytes = 0;

  constructor(mail: Mail, memory: MemoryBudget) {
    this.#mail = mail;
    this.#writer = new ContentWriter(memory);
  }

  /** As it came, with the final dot. */
  get wireBytes(): number {
    return this.#wireBytes;
  }

  /**
   * `rest` is what followed the final dot; undefined until that has come. `isPrompt` is false when the disk is
   * behind: wait for `drained`.
   */
  push(input: Buffer): { readonly rest: Buffer | undefined; readonly isPrompt: boolean } {
    const { pieces, rest } = this.#reader.push(input);
    let isPrompt = true;
    for (const piece of pieces) isPrompt = this.#writer.write(piece) && isPrompt;
    this.#wireBytes += input.length - (rest?.length ?? 0);
    return { rest, isPrompt };
  }

  drained(): Promise<void> {
    return this.#writer.drained();
  }

  /** After the final dot: what the client hears. `gone` aborts when it left before that. */
  async verdicts(
    client: Client,
    gone: AbortSignal,
    notice: ListenerSettings['notice'],
    away: TurnedAway,
  ): Promise<readonly Reply[]> {
    let content: Content;
    try {
      content = await this.#writer.finish();
    } catch (error) {
      if (!(error instanceof ContentFailedError)) throw error;
      away.refused(error.failure.kind);
      const reply = notKept(error, notice);
      return this.#mail.replies(() => reply);
    }
    const submission = { client, envelope: this.#mail.envelope(), content };
    const verdicts = await this.#mail.transaction.submit(submission, gone);
    return this.#mail.replies((address) => verdicts.get(address) ?? NO_VERDICT);
  }

  /** Gives back what is kept. */
  release(): void {
    this.#writer.release();
  }
}

function notKept({ failure }: ContentFailedError, notice: ListenerSettings['notice']): Reply {
  if (failure.kind === 'memory') return NO_MEMORY;
  const reason = failure.kind === 'disk' ? failure.reason : 'as much lies in files as may';
  const message = `content over 4 MiB was not taken: ${reason}`;
  notice?.({ level: 'error', code: 'content-not-kept', message });
  return NO_DISK;
}

const NO_DISK = ownReply(452, '4.3.1', 'content of this size cannot be kept now; try again');
/** For a recipient whom the reception forgot: a fault of ours, which loses nothing. */
const NO_VERDICT = ownReply(451, '4.3.0', 'no verdict');
