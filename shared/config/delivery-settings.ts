// What the receiving side asks of a configuration: typed, in one piece per domain and binding.

import type { Configuration } from './configuration.ts';
import { type At, evaluate, evaluateHost, evaluateListen, findSetting, scopesAt } from './evaluate.ts';
import type { ListenAddress } from './listen.ts';
import { pathWritten } from './named-files.ts';
import type { Network } from './networks.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';
import type { SmtpRoute } from './routes.ts';
import type { Blackhole } from './value-types-mail.ts';
import type { TlsVersions } from './value-types-network.ts';

/** Seconds where the name says so; options of the same names, options-*.ts, say what each means. */
export interface DeliverySettings {
  readonly retryIntervalSeconds: number;
  readonly maxRetryIntervalSeconds: number;
  /** `auto` derives the number from the expiration, `none` leaves the end to it. */
  readonly maxRetries: 'auto' | 'none' | number;
  readonly messageExpirationSeconds: number;
  readonly neverRetry: boolean;
  readonly neverAttemptExpired: boolean;
  readonly suspendDelivery: boolean;
  readonly blackhole: Blackhole;

  /** Those with smtp://, or Gateway where it stands nearer; empty: the domain's own MX hosts. */
  readonly routes: readonly SmtpRoute[];
  readonly remoteSmtpPort: number;
  /** Of mail that is delivered here; what another side hands over is delivered by SMTP. */
  readonly deliveryMethod: 'smtp' | 'lmtp';
  readonly lmtpPort: number;
  /** Addresses that mail is never sent to. */
  readonly skipHosts: readonly Network[];
  /** A domain whose own mail hosts are here is denied. */
  readonly prohibitedHosts: readonly Network[];

  /** Undefined: the machine's host name. */
  readonly ehloHostname: string | undefined;
  /** To one site. */
  readonly maxOutboundConnections: number;
  /** 0 is no limit. */
  readonly maxDeliveriesPerConnection: number;
  /** 0 is no limit. */
  readonly maxRecipientsPerConnection: number;
  /** In one transaction. */
  readonly maxRecipientsPerBatch: number;
  /** Undefined: the system chooses. */
  readonly bindAddress: string | undefined;
  /** How long a session without mail is kept; 0 ends it at once. */
  readonly idleTimeoutSeconds: number;
  readonly connectTimeoutSeconds: number;
  readonly ehloTimeoutSeconds: number;
  readonly mailfromTimeoutSeconds: number;
  readonly rcpttoTimeoutSeconds: number;
  /** From the final dot to its reply. */
  readonly bodyTimeoutSeconds: number;
  readonly rsetTimeoutSeconds: number;

  readonly tls: 'no' | 'ifavailable' | 'required';
  /** `ca` and `host` are one here, `optional` and `no` as well; both hold with `required` alone. */
  readonly tlsVerify: 'no' | 'ca' | 'host' | 'optional';
  /** The path of a PEM file as `namedFiles` gives it; undefined: the authorities of Node.js. */
  readonly tlsCa: string | undefined;
  /** Undefined: those of Node.js. */
  readonly tlsVersions: TlsVersions | undefined;
  readonly tlsCiphers: string | undefined;
  /** With `ifavailable`, after a handshake that failed. */
  readonly tlsFallsBack: boolean;
  /** Use_MTA_STS and Enable_MTA_STS: a policy is looked for to be kept. */
  readonly enableMtaSts: boolean;

  readonly bareNewlines: 'refuse' | 'convert';
  readonly eightBitMail: 'refuse' | 'convert';

  readonly generateBounces: boolean;
  readonly generateDelayDsn: boolean;
  readonly delayDsnRetryIntervalSeconds: number;
  /** 0 sets no limit. */
  readonly delayDsnMaxRetryIntervalSeconds: number;
  readonly bouncesInlineOriginal: 'headers' | 'none' | 'all';
  /** An address; undefined: mailer-daemon at the host name. */
  readonly mailerDaemon: string | undefined;
  /** Undefined: replies are read as they come. */
  readonly transcode: { readonly pattern: string; readonly replacement: string } | undefined;
  /** The path of a file of rules as `namedFiles` gives it. */
  readonly replyClasses: string | undefined;
}

/** Deliveries are pinned to one binding for life; until operators name others there is this one. */
export const DEFAULT_BINDING = 'default';

/** Domains whose settings are at hand: reading a configuration again is cheap, and a list of strangers long. */
const MAX_DOMAINS = 10_000;

/** What a configuration says of mail to a domain; without one, of all. What was read is kept. */
export function settingsByDomain(configuration: Configuration): (domain?: string) => DeliverySettings {
  const binding = DEFAULT_BINDING;
  const common = deliverySettings(configuration, { binding });
  const settingsFor = remembered((domain) => deliverySettings(configuration, { domain, binding }));
  return (domain) => (domain === undefined ? common : settingsFor(domain));
}

/** The most connections to a mail host at once, where a Host stanza says so; beside what holds for its domains. */
export function connectionsByHost(configuration: Configuration): (host: string) => number | undefined {
  return (host) =>
    evaluateHost(configuration, OPTIONS.Max_Outbound_Connections, { host, binding: DEFAULT_BINDING });
}

/** Answers again what it answered for a domain before. */
export function remembered<T>(read: (domain: string) => T): (domain: string) => T {
  const known = new Map<string, T>();
  return (domain) => {
    const before = known.get(domain);
    if (before !== undefined) return before;
    if (known.size >= MAX_DOMAINS) known.clear();
    const value = read(domain);
    known.set(domain, value);
    return value;
  };
}

/** Without a domain: what holds globally. */
export function deliverySettings(configuration: Configuration, at: At = {}): DeliverySettings {
  const written = <T>(option: Option<T>): T => evaluate(configuration, option, at);
  const file = (option: Option<string | undefined>) => pathWritten(findSetting(configuration, option, at));
  return {
    retryIntervalSeconds: written(OPTIONS.Retry_Interval),
    maxRetryIntervalSeconds: written(OPTIONS.Max_Retry_Interval),
    maxRetries: written(OPTIONS.Max_Retries),
    messageExpirationSeconds: written(OPTIONS.Message_Expiration),
    neverRetry: written(OPTIONS.Never_Retry),
    neverAttemptExpired: written(OPTIONS.Never_Attempt_Expired_Messages),
    suspendDelivery: written(OPTIONS.Suspend_Delivery),
    blackhole: written(OPTIONS.Blackhole),
    routes: smtpRoutes(configuration, at),
    remoteSmtpPort: written(OPTIONS.Remote_SMTP_Port),
    deliveryMethod: written(OPTIONS.Delivery_Method) === 'lmtp' ? 'lmtp' : 'smtp',
    lmtpPort: written(OPTIONS.LMTP_Port),
    skipHosts: written(OPTIONS.Skip_Hosts),
    prohibitedHosts: written(OPTIONS.Prohibited_Hosts),
    ehloHostname: written(OPTIONS.EHLO_Hostname),
    maxOutboundConnections: written(OPTIONS.Max_Outbound_Connections),
    maxDeliveriesPerConnection: written(OPTIONS.Max_Deliveries_Per_Connection),
    maxRecipientsPerConnection: written(OPTIONS.Max_Recipients_Per_Connection),
    maxRecipientsPerBatch: written(OPTIONS.Max_Recipients_Per_Batch),
    bindAddress: written(OPTIONS.Bind_Address),
    idleTimeoutSeconds: written(OPTIONS.Idle_Timeout),
    connectTimeoutSeconds: written(OPTIONS.Connect_Timeout),
    ehloTimeoutSeconds: written(OPTIONS.EHLO_Timeout),
    mailfromTimeoutSeconds: written(OPTIONS.Mailfrom_Timeout),
    rcpttoTimeoutSeconds: written(OPTIONS.Rcptto_Timeout),
    bodyTimeoutSeconds: written(OPTIONS.Body_Timeout),
    rsetTimeoutSeconds: written(OPTIONS.RSET_Timeout),
    tls: written(OPTIONS.TLS),
    tlsVerify: written(OPTIONS.TLS_Verify),
    tlsCa: file(OPTIONS.TLS_CA),
    tlsVersions: written(OPTIONS.TLS_Protocols),
    tlsCiphers: written(OPTIONS.TLS_Ciphers),
    tlsFallsBack: written(OPTIONS.TLS_Ifavailable_Fallback),
    enableMtaSts: written(OPTIONS.Use_MTA_STS) && written(OPTIONS.Enable_MTA_STS),
    bareNewlines: written(OPTIONS.Bare_Newlines),
    eightBitMail: written(OPTIONS.Eight_Bit_Mail),
    generateBounces: written(OPTIONS.Generate_Bounces),
    generateDelayDsn: written(OPTIONS.Generate_Delay_DSN),
    delayDsnRetryIntervalSeconds: written(OPTIONS.Delay_DSN_Retry_Interval),
    delayDsnMaxRetryIntervalSeconds: written(OPTIONS.Delay_DSN_Max_Retry_Interval),
    bouncesInlineOriginal: written(OPTIONS.Bounces_Inline_Original),
    mailerDaemon: written(OPTIONS.Mailerdaemon),
    transcode: transcodeOf(
      written(OPTIONS.Response_Transcode_Pattern),
      written(OPTIONS.Response_Transcode_Replace),
    ),
    replyClasses: file(OPTIONS.Reply_Classes),
  };
}

/** Whichever of Routes and Gateway stands nearer; Routes where they stand together. */
function smtpRoutes(configuration: Configuration, at: At): readonly SmtpRoute[] {
  const gateway = evaluate(configuration, OPTIONS.Gateway, at);
  const nearest = scopesAt(configuration, at).find(
    ({ settings }) => settings.has(OPTIONS.Routes.name) || settings.has(OPTIONS.Gateway.name),
  );
  if (gateway !== undefined && nearest?.settings.has(OPTIONS.Routes.name) === false) return [gateway];
  return evaluate(configuration, OPTIONS.Routes, at).filter((route) => route.scheme === 'smtp');
}

function transcodeOf(pattern: RegExp | undefined, replacement: string | undefined) {
  return pattern === undefined || replacement === undefined
    ? undefined
    : { pattern: pattern.source, replacement };
}

export interface HttpListen {
  readonly listen: ListenAddress;
  /** Who may connect, apart from the machine itself. */
  readonly relayHosts: readonly Network[];
}

/** The addresses of every HTTP_Listener, in the order of the files. */
export function httpListens(configuration: Configuration): readonly HttpListen[] {
  return configuration.listeners
    .filter((listener) => listener.kind === 'HTTP_Listener')
    .flatMap((listener) =>
      listener.listens.map((scope) => ({
        listen: scope.listen,
        relayHosts: evaluateListen(configuration, OPTIONS.Relay_Hosts, listener, scope),
      })),
    );
}
