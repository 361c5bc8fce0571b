// What is remembered of peers in this process, and, with a slower shared memory behind it, what other processes
// found out. Promises: a peer costs at most one read of the shared memory in five minutes, also when nothing is
// known of it; nobody waits longer than a second for the shared memory; nothing rejects.

import type { PeerMemory, PeerTrait } from './client.ts';

export interface PeerMemoryOptions {
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** How long a noted trait counts; an hour when absent. */
  readonly keptMs?: number;
  /** Peers remembered at most, 10,000 when absent; the one noted or read longest ago is forgotten first. */
  readonly maxPeers?: number;
  /** Shared between processes. */
  readonly behind?: PeerMemory;
  /** How long a caller waits for it; a second when absent. What comes later counts for the next caller. */
  readonly patienceMs?: number;
}

const KEPT_MS = 3_600_000;
const MAX_PEERS = 10_000;
const PATIENCE_MS = 1_000;

/** How long what the shared memory said counts, and how long it need not be told the same again. */
const SHARED_MS = 300_000;

interface Peer {
  /** Noted here: when each trait ends. */
  readonly noted: Map<PeerTrait, number>;
  /** When each trait was last passed on to the shared memory. */
  readonly toldAtMs: Map<PeerTrait, number>;
  /** What the shared memory said last. */
  read: ReadonlySet<PeerTrait>;
  readUntilMs: number;
  reading: Promise<void> | undefined;
}

export function createPeerMemory(options: PeerMemoryOptions): PeerMemory {
  const { nowMs, keptMs = KEPT_MS, maxPeers = MAX_PEERS, behind, patienceMs = PATIENCE_MS } = options;
  const peers = new Map<string, Peer>();

  /** The peer as the youngest of all. */
  function touch(key: string): Peer {
    const peer = peers.get(key) ?? {
      noted: new Map(),
      toldAtMs: new Map(),
      read: new Set(),
      readUntilMs: 0,
      reading: undefined,
    };
    peers.delete(key);
    peers.set(key, peer);
    for (const oldest of peers.keys()) {
      if (peers.size <= maxPeers) break;
      peers.delete(oldest);
    }
    return peer;
  }

  function readBehind(shared: PeerMemory, peer: Peer, host: string, port: number): Promise<void> {
    // What the last read said ends here, whether or not an answer comes in time.
    peer.read = new Set();
    peer.readUntilMs = nowMs() + SHARED_MS;
    peer.reading = shared
      .recall(host, port)
      .then(
        (traits) => {
          peer.read = traits;
        },
        () => {},
      )
      .finally(() => {
        peer.reading = undefined;
      });
    return peer.reading;
  }

  return {
    async recall(host, port) {
      const key = peerKey(host, port);
      if (behind !== undefined) {
        const peer = touch(key);
        const reading = peer.readUntilMs > nowMs() ? peer.reading : readBehind(behind, peer, host, port);
        if (reading !== undefined) await within(patienceMs, reading);
      }
      const peer = peers.get(key);
      if (peer === undefined) return new Set();
      const noted = [...peer.noted].filter(([, untilMs]) => untilMs > nowMs()).map(([trait]) => trait);
      return new Set([...peer.read, ...noted]);
    },

    async note(host, port, trait) {
      const peer = touch(peerKey(host, port));
      peer.noted.set(trait, nowMs() + keptMs);
      if (behind === undefined || (peer.toldAtMs.get(trait) ?? -SHARED_MS) + SHARED_MS > nowMs()) return;
      peer.toldAtMs.set(trait, nowMs());
      await within(
        patienceMs,
        behind.note(host, port, trait).catch(() => {}),
      );
    },
  };
}

function peerKey(host: string, port: number): string {
  return `${host.toLowerCase()}:${port}`;
}

/** Resolves when `work` has, or after `ms`. `work` never rejects. */
function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
