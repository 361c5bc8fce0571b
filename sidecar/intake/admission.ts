// Who a connection comes from, for every listener: clients of this machine and of the networks in Relay_Hosts are
// trusted, all others are strangers.

import { isLoopback, type Network } from '../../shared/config/networks.ts';

export interface Peer {
  /** IPv4 or IPv6, as the socket tells it; '' when the client has left already. */
  readonly address: string;
  /** A program of this machine. */
  readonly local: boolean;
  /** Of this machine, or in Relay_Hosts. */
  readonly trusted: boolean;
}

export interface Connection {
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
}

/** A connection to one of the machine's own addresses from that very address never left the machine. */
export function peerOf(connection: Connection, relayHosts: readonly Network[]): Peer {
  const address = connection.remoteAddress ?? '';
  // The first test spares usual connections the parsing of their address.
  const local =
    address.startsWith('127.') ||
    isLoopback(address) ||
    (address !== '' && address === connection.localAddress);
  return { address, local, trusted: local || relayHosts.some((network) => network.contains(address)) };
}
