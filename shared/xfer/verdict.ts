// Answers to a transfer, one verdict per message in the order of the request. A sender's log keeps little of an
// answer, so one that is about one message stays under 2,048 bytes whatever a reply's text holds.

import type { Reply } from '../smtp/reply.ts';
import type { Verdict } from './message.ts';
import { PROBLEM_CONTENT_TYPE, problem, problemMembers, type WireAnswer } from './problem.ts';

/** Octets that a reply's text may take as a JSON string; id, code and problem members take under 500 more. */
const MAX_TEXT_JSON_BYTES = 1024;

/**
 * 200 when at least one message was taken, now or earlier. When all were refused, 422 with the same `messages`, as
 * a problem document, so that a client which looks at the status alone does not take it for success.
 */
export function formatVerdicts(verdicts: readonly Verdict[]): WireAnswer {
  const messages = verdicts.map(verdictFields);
  if (verdicts.some((verdict) => verdict.status !== 'refused')) {
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages }),
    };
  }
  const fault = problem('all-refused', 'each message has its reply in messages', { messages });
  return {
    status: fault.status,
    headers: { 'content-type': PROBLEM_CONTENT_TYPE },
    body: JSON.stringify(problemMembers(fault)),
  };
}

function verdictFields(verdict: Verdict): Readonly<Record<string, unknown>> {
  const { id, status } = verdict;
  return status === 'refused' ? { id, status, reply: replyFields(verdict.reply) } : { id, status };
}

function replyFields(reply: Reply): Reply {
  const { code, enhanced, text } = reply;
  return { code, ...(enhanced !== undefined && { enhanced }), text: clipForJson(text) };
}

function clipForJson(text: string): string {
  let clipped = text.toWellFormed();
  while (Buffer.byteLength(JSON.stringify(clipped)) > MAX_TEXT_JSON_BYTES) {
    clipped = clipped.slice(0, Math.floor(clipped.length * 0.75)).toWellFormed();
  }
  return clipped;
}
