// The rules that come with delay-xfer. They are asked in this order, and the first that fits decides: what the text
// says comes before what the enhanced status says, since servers use statuses loosely, and the basic code is last.
//
// Patterns are read over the reply on one line (`550 5.1.1 no such user`), in lower case, with every e-mail address
// replaced by `<>`, so that no address decides by what it spells. None repeats a repetition, which keeps matching
// linear; `report-class-rules.test.ts` holds them to it.

import type { ReplyClassName } from './class-names.ts';

export interface ReplyRule<Class extends string = string> {
  readonly class: Class;
  /** A regular expression, as it stands between slashes. */
  readonly pattern?: string;
  /** The basic code, or how it begins: `550`, `5`. */
  readonly code?: string;
  /** Subject and detail of the enhanced status: `7.26`, or `7.` for the whole subject. */
  readonly status?: string;
  /** Where in the dialogue the reply came, as `response.command` has it. */
  readonly stage?: string;
}

type Rules = readonly ReplyRule<ReplyClassName>[];

function words(name: ReplyClassName, ...patterns: readonly string[]): Rules {
  return patterns.map((pattern) => ({ class: name, pattern }));
}

/** What the client, the router and the queue say themselves. */
const OURS: Rules = [
  ...words(
    'RoutingErrors',
    '^451 4\\.4\\.4 the route of ',
    'comes back to this host|no mail host of [^ ]+ has an address',
  ),
  ...words('PolicyRelated', ' is not spoken to: ', '^451 4\\.7\\.5 .*(?:mta-sts|policy)'),
  ...words('MessageExpired', '^4\\d\\d 4\\.4\\.7 (?:delivery time expired|.*time is up)'),
  ...words(
    'NoAnswerFromHost',
    'while connecting|connection refused|no host of the site could be reached|no route to host|host is unreachable',
    'connect to [^ ]+: |connection timed out',
  ),
  ...words(
    'BadConnection',
    'connection (?:was )?(?:lost|reset|closed|dropped) (?:while|by|during)|^421 4\\.4\\.2 timed out while ',
    'tls handshake failed|tls must be verified|certificate (?:is|has|does)|no tls was offered|starttls was refused',
  ),
  ...words('DNSFailure', 'dns (?:server failure|query failed|lookup failed|did not answer)|\\bservfail\\b'),
  ...words('ProtocolErrors', '^451 4\\.5\\.0 (?:unintelligible reply|\\d{3} came out of turn)'),
  ...words('PolicyRelated', 'requiretls is asked for', 'has no address that mail may go to'),
  ...words('ContentRelated', 'does not offer (?:smtputf8|8bitmime)'),
];

/** Codes of single providers, which say more than the words beside them. */
const PROVIDERS: Rules = [
  // Yahoo and AOL: deferrals and blocks of a source, DMARC.
  ...words('SpamBlock', '\\[(?:tss?\\d+|bl\\d+)\\]', '\\b(?:rly:b\\d|dyn:t\\d|vs1-ip)\\b'),
  { class: 'AuthenticationFailed', pattern: '^554 5\\.7\\.9 message not accepted for policy reasons' },
  // Microsoft.
  ...words(
    'SpamBlock',
    '^[45]\\d\\d (?:sc|dy|ou|rp)-00[1-9].*(?:block list|dynamically|reputation)',
    '\\(s3150\\)|\\(s3140\\)',
  ),
  ...words('TransientFailure', '^421 rp-00[1-9]', '\\breceivingrate', 'insufficient system resources'),
  { class: 'InvalidRecipient', pattern: '^550 5\\.4\\.1 .*recipient address rejected: access denied' },
  ...words('QuotaIssues', 'quotaexceededexception|overquota|recipsizelimit|overadvertisedsize'),
  ...words('PolicyRelated', 'resolver\\.rst\\.(?:authrequired|notauthorized|sendernotauthenticated)'),
  // Google speaks of a rate where it asks for TLS.
  ...words('PolicyRelated', 'not sent over a tls'),
  // Symantec's cloud names its reason by number.
  ...words('SpamBlock', 'rejected by policy \\[7\\.7\\]'),
  // Comcast, Cox, Charter, AT&T.
  ...words('SpamBlock', '#bl0\\d+', '\\bcxthrt\\b', '\\baup#', 'dnsbl:attrbl'),
  // GMX, Web.de, T-Online: why the greeting refuses.
  ...words(
    'SpamBlock',
    'nemesis esmtp service not available',
    'tobr@rx\\.t-online|ask your postmaster for help or to contact <>',
  ),
  ...words('PolicyRelated', 'reject due to policy (?:restrictions|violations)'),
  // Orange.
  ...words('InactiveMailbox', '\\bofr_?417\\b|boite du destinataire archivee'),
  ...words('SpamContent', '\\bofr_?506\\b'),
  // Mimecast.
  ...words('SpamContent', 'mcspamsignature'),
  ...words('TransientFailure', '^451 internal resource temporarily unavailable'),
  // NetEase: the letters after MI or DT name the reason.
  ...words('SpamContent', '\\b(?:dt|mi):sp[mb]\\b'),
  ...words('AuthenticationFailed', '\\bmi:spf\\b'),
  ...words('TransientFailure', '\\b(?:dt|mi):(?:sfq|sum|dul|nst|stc)\\b'),
  // QQ answers so for a recipient it does not have.
  ...words('InvalidRecipient', '^550 mailbox unavailable or access denied'),
  // Amavis names what it found after the dash.
  ...words('VirusRelated', ' - infected: '),
  ...words('ProhibitedAttachment', ' - banned: '),
  ...words('SpamContent', ' - spam$'),
];

/** Words that servers of every make use. */
const WORDS: Rules = [
  ...words(
    'ChallengeResponse',
    'challenge.response|confirm that you are human|\\bboxbe\\.com|verification request to deliver',
  ),
  ...words(
    'TransientFailure',
    'gr[ea]ylist|not yet authorized to deliver|first delivery attempt|slow down spammers|triplet',
    'address verification in progress',
  ),
  ...words('TooManyRecipients', '(?:too many|number of) recipients|recipients? (?:count|limit) exceed'),
  ...words('QuotaIssues', 'mailbox is full|mailbox full'),
  ...words(
    'SpamContent',
    '(?:considered|classified|identified|recogni[sz]ed) as (?:spam|junk|ube|unsolicited)|identified spam|spam or virus',
    'likely unsolicited mail|suspicion of spam|looks like spam|als spam |垃圾邮件',
  ),
  ...words(
    'VirusRelated',
    '\\bvirus (?:[^ ]+ )?(?:found|detected|signature|infect)|contains? (?:a |an )?(?:virus|malware|worm)|\\binfected\\b',
    'malware|\\bclamav\\b|\\btrojan\\b',
  ),
  ...words(
    'ProhibitedAttachment',
    'attachments? (?:type|types|name|extension|extensions|are|is|not|of type)|(?:illegal|prohibited|forbidden|banned|blocked|dangerous|executable) (?:file )?attachments?',
    'p=blockedmessage|potential security issue|banned file',
  ),
  ...words(
    'AuthenticationFailed',
    '\\bdmarc(?:\\b|_)',
    '\\bspf\\b.{0,40}(?:fail|policy|invalid|reject|did not pass|not (?:permitted|authorized)|error)|(?:fail|violat|reject)[a-z]*.{0,30}\\bspf\\b',
    '\\bdkim\\b.{0,40}(?:fail|invalid|did not pass|not aligned|reject|missing)|sender policy framework',
    'sender is unauthenticated|unauthenticated (?:email|mail|sender)|required authentication level|openspf\\.',
    'not aligned with|ptr (?:record|lookup)|reverse (?:dns|hostname|lookup)|cannot find your (?:reverse )?hostname|\\brdns\\b',
    'helo command rejected: host not found',
  ),
  ...words(
    'SpamBlock',
    'reputation|poor sender score|\\bsenderscore\\b',
    'block(?:ed)? ?list|black ?list|black list|deny ?list|\\bdnsbl|\\brbl[s+]?\\b|sperrliste|ブラックリスト|黑名单',
    'blocked (?:using|by [a-z.]*(?:spam|abuse|sorbs|rbl|bl\\.|proofpoint))|listed (?:at|on|in|by) |is in an rbl',
    'spamhaus|spamcop|barracudacentral|sorbs\\.net|abuseat\\.org|uribl|surbl|senderbase|ipcheck\\.proofpoint|dnsbl-lookup',
    'banned send(?:er|ing)|client host (?:blocked|rejected: access denied)|suspected spam sender|known spam (?:source|sender)',
    'block for spam|blocked by .{0,30}(?:anti-?spam|charter|verizon)|\\bip (?:address )?(?:is )?(?:blocked|refus)|mail refused - <|blocked for (?:spam|abuse)',
    'unsolicited mail originating|exceeded permitted limits .{0,40}spam|excessive unknown recipients|user complaints',
    'blocked - see |(?:^| )<? ?\\d+\\.\\d+\\.\\d+\\.\\d+ ?>?_?(?: has been| is)_?(?: currently)?_? ?blocked',
    'dynamic (?:ip|address)|residential (?:ip|address)',
  ),
  ...words(
    'SpamContent',
    'spam (?:message|content|detected|filter|pattern|rejected)|(?:message|mail|content).{0,40}(?:as|is|of|due to|looks like|because of) (?:likely )?spam',
    'phishing|blocked spam|message content spam|mail content denied|spam points|spam score',
    'one or more recipients \\(<?>?:?blocked',
  ),
  ...words(
    'RelayDenied',
    "relay(?:ing)? (?:access )?(?:denied|not permitted|not allowed|prohibited|rejected|not authorized)|(?:not|n't) (?:permitted|allowed|able) to relay|(?:unable|not|no) to relay|unable to relay",
    'do not relay|allowed rcpthosts|credentials for relay|non-local e-?mail address|smtp authentication in your mail client',
  ),
  ...words('RelayingIssues', 'relay limit exceeded|relay quota'),
  ...words(
    'TransientFailure',
    'receiving mail (?:at a rate|too quickly)|rate.?limit|frequency|throttl|slow down|too many (?:concurrent |open |simultaneous |tls )?(?:smtp )?(?:connections|sessions|messages|errors|mails)',
    'too much mail|connection limit|connections (?:has|have) exceeded|thread limit|sending (?:rate|limit|quota)|频率|trop de connexions',
  ),
  ...words(
    'QuotaIssues',
    '(?:over|out of|exceed[a-z]*|above)[ -](?:its |the |his |your |disk |storage |mailbox |mail |allocated )*(?:quota|storage)|quota (?:is |limit |has been )?exceed|over ?quota|quota[- ]full',
    '(?:mailbox|mail box|inbox|postfach|account|buz[oó]n|casella|bo[iî]te aux lettres|maildir)(?: for user)?(?: is| has| ist)? (?:over ?)?(?:full|voll|lleno|piena|pleine)',
    'mailbox (?:size )?limit|insufficient (?:system )?(?:storage|disk)|not enough (?:storage|space|disk)|exceeded storage allocation|disk (?:is )?full',
    'message (?:is )?(?:file )?(?:too (?:big|large)|larger than)|(?:message|mail|file|data)[- ]?size (?:limit |exceed|limit$)|(?:exceed[a-z]*|over) .{0,40}(?:message size|size limit|maximum.{0,12}size|databytes)',
    '空间不足|容量を超えて|speicherplatz.{0,20}(?:ueber|über)|cuota excedida',
    'takes \\d+ octets, not \\d+',
  ),
  ...words(
    'InvalidSender',
    'sender (?:address )?(?:rejected|verify failed|verify callout|domain (?:must|does)|address <>|address has)|(?:domain|name required) (?:of|for) sender|sender verify',
    'sender address (?:is )?(?:invalid|not valid)|invalid sender|envelope sender|bad outbound sender|adresse emetteur|unresolvable sender|from domain must exist',
    'domain of sender',
  ),
  // The text of these speaks of an address; the status says whose, or that it is about the domain.
  { class: 'InvalidSender', status: '1.7' },
  { class: 'InvalidSender', status: '1.8' },
  { class: 'BadDomain', status: '1.2', pattern: 'exist|domain|host|dns|is not an address' },
  // RFC 5321 §4.2.3 gives 450 and 550 the same words: busy, or not there.
  ...words('TransientFailure', '^450 .*mailbox unavailable'),
  ...words(
    'InactiveMailbox',
    '(?:mailbox|account|user|recipient|address|postfach|compte|box)(?: <>)?(?: that you tried to reach)? (?:is |has been |ist |currently |was )*(?:disabled|inactive|deactivated|deaktiviert|suspended|closed|frozen|expired|locked|blocked by administrator|no longer (?:active|available|valid|on server|in use))',
    'not (?:been )?activat|account closed|account is not active|(?:disabled|inactive)user|user has moved|mailbox has moved|compte d[eé]sactiv|recipient no longer|已停用|result banned',
    'no longer (?:works|employed|exists|accepts)',
  ),
  ...words(
    'BadDomain',
    'null ?mx|recipient address rejected: domain not found|host unknown|(?:dns )?domain [^ ]+ (?:does not exist|has no mail)|no such domain|domain (?:name )?(?:not found|unknown|does not exist)|unknown domain|the domain [^ ]+ (?:does|has)',
  ),
  ...words(
    'RoutingErrors',
    '(?:mail|routing|forwarding|alias) loop|too many hops|hop count|loops back|points (?:back )?to (?:local|mx|itself)|too many "?received|unable to route|no route',
    'exceeded \\d+ hops',
  ),
  ...words(
    'InvalidRecipient',
    '(?:no|not a|unknown|invalid|bad|undeliverable|illegal|nonexistent|non-existent)(?: such| valid| or illegal| known)* (?:user|recipient|mailbox|mail ?box|address|account|alias|person|id|customer|destinataire)',
    '(?:user|recipient|mailbox|address|account|alias|adresse|adresse d au moins un destinataire)(?: <>|: "?[^ "]+"?)?(?: name)?(?: is| was| does|\'s)?(?: not|n\'t| no)? (?:unknown|found|not found|not known|invalid|exist|invalide|unrecogni[sz]ed|unavailable|not allowed|does not exist|doesn\'t exist|rejected\\.?$|rejected <>$)',
    "recipient address rejected: (?:user|undeliverable|unknown|no such)|(?:does not|doesn't|did not) exist|doesn't have an? |user unknown|unknown user|no longer a|not our customer|cannot deliver mail for|no mail-?box here|not found by smtp|recipnotfound|recipientnotfound|nosuchuser",
    'unrouteable address|not a (?:valid|known)|user not local|mailing list expansion|permanent failure for one or more',
    'unbekannte?r? (?:empf|benutzer|user)|(?:empf[^ ]+|benutzer|adresse) (?:ist )?(?:unbekannt|existiert nicht)|utilisateur inconnu|destinataire (?:inconnu|invalide)|utente sconosciuto|usu[aá]rio (?:desconhecido|inexistente|no existe)|no existe|пользователь не найден',
    '收件人不存在|用户不存在|存在しません|見つかりません',
  ),
  ...words(
    'ContentRelated',
    'rfc ?(?:2822|5322|822) compliant|missing a valid message-id|line length|line too long|(?:malformed|corrupt|invalid) (?:mime|message|header)|message headers? fail|8-?bit data|mime content|header is missing|smtputf8',
    'unacceptable content|message content rejected|content (?:rejected|restrictions)|content filter|bare (?:lf|cr|newline)',
  ),
  ...words(
    'ProtocolErrors',
    'smtp (?:protocol violation|synchroni[sz]ation error)|command pipelining|bad sequence|syntax(?: error)?[: ,]|syntactically invalid|command (?:not |un)(?:recogni[sz]ed|known|implemented)|unrecogni[sz]ed command|unknown command|need (?:mail|rcpt)|send helo|sender not yet given|protocol error|parameters not recogni[sz]ed|helo command rejected: need|smtplf\\.html',
  ),
  ...words(
    'AuthenticationFailed',
    '^5\\d\\d .*(?:authentication (?:required|unsuccessful|failed)|not authenticated)',
  ),
  ...words(
    'BadConfiguration',
    '(?:server |system |local )?configuration (?:error|problem)|incorrectly configured|misconfigur',
  ),
  ...words(
    'PolicyRelated',
    '^[45]\\d\\d .*(?:starttls|tls (?:is )?required|requires? tls)',
    '^5.*(?:polic(?:y|ies)|access denied|administrative prohibition|not accepted here|rejected by recipients?|organi[sz]ation|does not accept mail|has been rejected|not (?:authori[sz]ed|allowed|permitted))',
  ),
  ...words(
    'TransientFailure',
    '^4.*(?:try (?:again|later|in)|please retry|later|temporar|overload|busy|deferred|unavailable|not available|後|稍后|erneut|しばらく)',
  ),
];

function statuses(name: ReplyClassName, ...list: readonly string[]): Rules {
  return list.map((status) => ({ class: name, status }));
}

/** RFC 3463 and the IANA registry of enhanced status codes. `4.7.1` after a 4xx says "not now", not why. */
const STATUSES: Rules = [
  ...statuses('InvalidRecipient', '1.0', '1.1', '1.3', '1.4', '2.4', '7.17'),
  ...statuses('BadDomain', '1.2', '1.10', '7.18'),
  ...statuses('InactiveMailbox', '1.6', '2.1', '7.13'),
  ...statuses('InvalidSender', '1.7', '1.8', '1.9', '7.27'),
  ...statuses('QuotaIssues', '2.2', '2.3', '3.1', '3.4'),
  ...statuses('ProtocolErrors', '3.3', '5.0', '5.1', '5.2', '5.4', '5.5', '5.6'),
  ...statuses('BadConfiguration', '3.5'),
  ...statuses('NoAnswerFromHost', '4.1'),
  ...statuses('BadConnection', '4.2'),
  ...statuses('DNSFailure', '4.3'),
  ...statuses('RoutingErrors', '4.4', '4.6'),
  ...statuses('TransientFailure', '3.2', '4.5'),
  ...statuses('MessageExpired', '4.7'),
  ...statuses('TooManyRecipients', '5.3'),
  ...statuses('ContentRelated', '6.'),
  ...statuses('SpamBlock', '7.28'),
  ...statuses('AuthenticationFailed', '7.5', '7.7', '7.8', '7.9', '7.11'),
  ...statuses('AuthenticationFailed', '7.20', '7.21', '7.22', '7.23', '7.24', '7.25', '7.26', '7.29'),
  { class: 'PolicyRelated', status: '7.', code: '5' },
];

/** The basic code alone, RFC 5321 §4.2.3. */
const CODES: Rules = [
  { class: 'TransientFailure', code: '4' },
  { class: 'ProtocolErrors', code: '500' },
  { class: 'ProtocolErrors', code: '501' },
  { class: 'ProtocolErrors', code: '502' },
  { class: 'ProtocolErrors', code: '503' },
  { class: 'ProtocolErrors', code: '504' },
  { class: 'PolicyRelated', code: '521' },
  { class: 'AuthenticationFailed', code: '530' },
  { class: 'AuthenticationFailed', code: '535' },
  { class: 'InvalidRecipient', code: '551' },
  { class: 'QuotaIssues', code: '552' },
  { class: 'InvalidRecipient', code: '553' },
  { class: 'ProtocolErrors', code: '555' },
  { class: 'BadDomain', code: '556' },
];

export const SHIPPED_RULES: Rules = [...OURS, ...PROVIDERS, ...WORDS, ...STATUSES, ...CODES];
