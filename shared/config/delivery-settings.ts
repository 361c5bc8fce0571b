// What the receiving side asks of a configuration: typed, in one piece per domain and binding.

import type { Configuration } from './configuration.ts';
import { type At, evaluate, evaluateListen } from './evaluate.ts';
import type { ListenAddress } from './listen.ts';
import type { Network } from './networks.ts';
import { OPTIONS } from './options.ts';

export interface DeliverySettings {
  readonly retryIntervalSeconds: number;
  readonly maxRetryIntervalSeconds: number;
  /** `auto` derives the number from the expiration, `none` leaves the end to it. */
  readonly maxRetries: 'auto' | 'none' | number;
  readonly messageExpirationSeconds: number;
  /** Undefined: the machine's host name. */
  readonly ehloHostname: string | undefined;
  readonly remoteSmtpPort: number;
  /** To one site. */
  readonly maxOutboundConnections: number;
  /** 0 is no limit. */
  readonly maxDeliveriesPerConnection: number;
  readonly tls: 'no' | 'ifavailable' | 'required';
  readonly connectTimeoutSeconds: number;
  readonly bareNewlines: 'refuse' | 'convert';
}

/** Without a domain: what holds globally. */
export function deliverySettings(configuration: Configuration, at: At = {}): DeliverySettings {
  return {
    retryIntervalSeconds: evaluate(configuration, OPTIONS.Retry_Interval, at),
    maxRetryIntervalSeconds: evaluate(configuration, OPTIONS.Max_Retry_Interval, at),
    maxRetries: evaluate(configuration, OPTIONS.Max_Retries, at),
    messageExpirationSeconds: evaluate(configuration, OPTIONS.Message_Expiration, at),
    ehloHostname: evaluate(configuration, OPTIONS.EHLO_Hostname, at),
    remoteSmtpPort: evaluate(configuration, OPTIONS.Remote_SMTP_Port, at),
    maxOutboundConnections: evaluate(configuration, OPTIONS.Max_Outbound_Connections, at),
    maxDeliveriesPerConnection: evaluate(configuration, OPTIONS.Max_Deliveries_Per_Connection, at),
    tls: evaluate(configuration, OPTIONS.TLS, at),
    connectTimeoutSeconds: evaluate(configuration, OPTIONS.Connect_Timeout, at),
    bareNewlines: evaluate(configuration, OPTIONS.Bare_Newlines, at),
  };
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
