// An operator's other reading of what remote hosts say (Momentum's Response_Transcode_Pattern and _Replace). A 4xx or
// 5xx reply that fits the pattern counts as the replacement says: it decides transient or permanent, and the class in
// the log. What was said stays what was said, and the dialogue goes on by that.
//
// Invariant: a refusal never becomes an acceptance. What would be read as anything but 4xx or 5xx is read as it came.

import { readReply } from './parse-reply.ts';
import { formatReply, type Reply, replyClass } from './reply.ts';
import { replyExpression } from './reply-expression.ts';

export interface Transcode {
  /** The source of a regular expression. */
  readonly pattern: string;
  /** `$0` stands for what fitted, `$1` to `$9` for its groups. */
  readonly replacement: string;
}

/** The reply that counts instead; undefined when it counts as it came. */
export type ReadAs = (reply: Reply) => Reply | undefined;

export function transcoder({ pattern, replacement }: Transcode): ReadAs {
  const expression = replyExpression(pattern);
  return (reply) => {
    if (replyClass(reply) === 'positive') return undefined;
    const match = expression.exec(formatReply(reply));
    if (match === null) return undefined;
    const read = readReply(replacement.replace(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? ''));
    return read === undefined || read.code < 400 ? undefined : read;
  };
}
