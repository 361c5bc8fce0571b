// What the MTA hears at the final dot. Mail that its MTA deferred is never bounced by us: whatever went wrong, the
// reply is transient and the MTA keeps the mail. Rerouted mail has nobody else to try it, so a refusal of the
// receiver passes through as it is.

import { formatReply, ownReply, type Reply, replyClass } from '../../shared/smtp/reply.ts';
import type { HandOverResult } from '../push/held-message.ts';
import type { Mode } from '../routing/targets.ts';

export function replyFor(result: HandOverResult, mode: Mode, id: string): Reply {
  switch (result.ending) {
    case 'accepted':
      return ownReply(250, '2.0.0', `${id} accepted`);
    case 'duplicate':
      return ownReply(250, '2.0.0', `${id} accepted before`);
    case 'refused':
      return result.refusal === undefined
        ? ownReply(451, '4.3.0', 'refused by the receiver')
        : refusalReply(result.refusal, mode);
    case 'no-route':
      return ownReply(451, '4.4.1', result.reason);
    case 'untaken':
      return ownReply(451, '4.3.0', `not taken: ${result.reason}`);
    case 'in-doubt':
      return ownReply(451, '4.4.2', `no verdict in time: ${result.reason}`);
  }
}

/** Content that could smuggle (RFC 5321 §2.3.8) goes no further; nobody can mend mail that is rerouted but its MTA. */
export function bareNewlinesReply(mode: Mode): Reply {
  const text = 'a CR or an LF stands alone in the content, which is never passed on (Bare_Newlines = refuse)';
  return mode === 'rerouted' ? ownReply(554, '5.6.0', text) : ownReply(451, '4.6.0', text);
}

/** RFC 8689 §4.2.1: a message with REQUIRETLS goes no further in clear; nobody can mend mail that is rerouted but its MTA. */
export function requireTlsReply(mode: Mode, domain: string): Reply {
  const text = `REQUIRETLS: a route to ${domain} has no TLS`;
  return mode === 'rerouted' ? ownReply(550, '5.7.30', text) : ownReply(451, '4.7.30', text);
}

function refusalReply(refusal: Reply, mode: Mode): Reply {
  const permanent = mode === 'rerouted' && replyClass(refusal) === 'permanent';
  // 421 would say that this session ends (RFC 5321 §3.8).
  if (permanent || (refusal.code !== 421 && refusal.code < 500)) return refusal;
  const subject = refusal.enhanced?.slice(1) ?? '.3.0';
  return ownReply(451, `4${subject}`, `refused by the receiver: ${formatReply(refusal)}`);
}
