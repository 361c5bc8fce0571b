// The classes of replies, by KumoMTA's names (`PreDefinedBounceClass`), so that pipelines that read its
// `bounce_classification` understand ours. An operator's rules may bring further names of their own.

/** In the order of KumoMTA's own list. */
export const REPLY_CLASSES = [
  'InvalidRecipient',
  'DNSFailure',
  'SpamBlock',
  'SpamContent',
  'ProhibitedAttachment',
  'RelayDenied',
  'AutoReply',
  'TransientFailure',
  'Subscribe',
  'Unsubscribe',
  'ChallengeResponse',
  'BadConfiguration',
  'BadConnection',
  'BadDomain',
  'ContentRelated',
  'InactiveMailbox',
  'InvalidSender',
  'MessageExpired',
  'NoAnswerFromHost',
  'PolicyRelated',
  'ProtocolErrors',
  'QuotaIssues',
  'RelayingIssues',
  'RoutingErrors',
  'SpamRelated',
  'VirusRelated',
  'AuthenticationFailed',
  'TooManyRecipients',
  'Uncategorized',
] as const;

export type ReplyClassName = (typeof REPLY_CLASSES)[number];

export function isReplyClassName(name: string): name is ReplyClassName {
  return REPLY_CLASSES.some((known) => known === name);
}
