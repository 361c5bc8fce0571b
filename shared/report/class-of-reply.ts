// Which class a reply belongs to. An operator's rules are asked first, in their order, then the shipped ones; a reply
// that fits none is `Uncategorized`. Pure, compiled once, and linear in the reply, which is kept to 512 octets.

import { MAX_REPLY_TEXT_BYTES } from '../smtp/reply.ts';
import { type ReplyRule, SHIPPED_RULES } from './class-rules.ts';

/** A reply as a log record has it. */
export interface SaidReply {
  readonly code: number;
  /** `class.subject.detail`. */
  readonly enhanced?: string | undefined;
  readonly text: string;
}

/** `stage` is where in the dialogue the reply came. The answer is a `ReplyClassName` or an operator's own name. */
export type ReplyClassifier = (reply: SaidReply, stage?: string) => string;

/** A rule of an operator: its expression is asked over the reply as it was said, letter case and addresses kept. */
export interface CompiledRule extends Omit<ReplyRule, 'pattern'> {
  readonly expression?: RegExp;
}

export function createReplyClassifier(ownRules: readonly CompiledRule[] = []): ReplyClassifier {
  return (reply, stage) => {
    const facts = { code: String(reply.code), status: statusOf(reply), stage };
    const line = oneLine(reply);
    const own = ownRules.find((rule) => fits(rule, facts, line));
    if (own !== undefined) return own.class;
    const plain = line.toLowerCase().replaceAll(ADDRESS, '<>');
    return SHIPPED.find((rule) => fits(rule, facts, plain))?.class ?? 'Uncategorized';
  };
}

const SHIPPED: readonly CompiledRule[] = SHIPPED_RULES.map(({ pattern, ...rule }) =>
  pattern === undefined ? rule : { ...rule, expression: new RegExp(pattern) },
);

/** At most the 64 octets of a local part (RFC 5321 §4.5.3.1.1), which bounds the search. */
const ADDRESS = /<?[^\s<>@"(]{1,64}@[^\s<>@"):;,]+>?/gu;

interface ReplyFacts {
  readonly code: string;
  /** Subject and detail. */
  readonly status: string | undefined;
  readonly stage: string | undefined;
}

function fits(rule: CompiledRule, facts: ReplyFacts, line: string): boolean {
  if (rule.code !== undefined && !facts.code.startsWith(rule.code)) return false;
  if (rule.status !== undefined && !statusFits(rule.status, facts.status)) return false;
  if (rule.stage !== undefined && rule.stage !== facts.stage) return false;
  return rule.expression === undefined || rule.expression.test(line);
}

function statusFits(wanted: string, status: string | undefined): boolean {
  if (status === undefined) return false;
  return wanted.endsWith('.') ? status.startsWith(wanted) : status === wanted;
}

/** As KumoMTA's rules expect it: `550 5.1.1 text`, a blank after the status also when no text follows. */
function oneLine(reply: SaidReply): string {
  const status = reply.enhanced === undefined ? '' : `${reply.enhanced} `;
  const text = reply.text.slice(0, MAX_REPLY_TEXT_BYTES).replaceAll(/[\r\n]+/g, ' ');
  return `${reply.code} ${status}${text}`;
}

/** Cisco writes `#5.1.0`, and qmail `(#5.1.1)` at the end: what is written so counts as the status. */
function statusOf({ enhanced, text }: SaidReply): string | undefined {
  if (enhanced !== undefined) return enhanced.slice(2);
  return /#[45]\.(\d{1,3}\.\d{1,3})\b/.exec(text)?.[1];
}
