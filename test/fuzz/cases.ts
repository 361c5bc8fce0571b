// Which case a number stands for, and what it came to. A seed and a number are a case: it can be played alone.

import { configCase } from './config-case.ts';
import { type PacketServer, startPacketServer } from './packet-case.ts';
import { replyCase } from './reply-case.ts';
import { routeCase } from './route-case.ts';
import { smtpCase } from './smtp-case.ts';

export const KINDS = ['smtp', 'replies', 'routes', 'packets', 'configurations'] as const;
export type Kind = (typeof KINDS)[number];

export interface Played {
  readonly kind: Kind;
  /** What went wrong; nothing, as it should be. */
  readonly faults: readonly string[];
  /** How it ended, for the figures. */
  readonly ends: readonly string[];
  readonly story: () => string;
}

export interface CasePlayer {
  play(seed: number, index: number): Promise<Played>;
  close(): Promise<void>;
}

export async function createCasePlayer(): Promise<CasePlayer> {
  let server: Promise<PacketServer> | undefined;

  return {
    async play(seed, index) {
      const kind = kindOf(index);
      switch (kind) {
        case 'smtp':
          return { kind, ...(await smtpCase(seed, index)) };
        case 'replies':
          return { kind, ends: ['read'], ...replyCase(seed, index) };
        case 'routes': {
          const report = await routeCase(seed, index);
          return { ...report, kind, ends: [report.kind] };
        }
        case 'configurations': {
          const report = configCase(seed, index);
          return { ...report, kind, ends: [report.kind] };
        }
        case 'packets': {
          server ??= startPacketServer();
          const report = await (await server).run(seed, index);
          return { ...report, kind, ends: [report.kind] };
        }
      }
    },
    async close() {
      await (await server)?.close();
    },
  };
}

/** Of twenty-four cases, fourteen are dialogues. */
function kindOf(index: number): Kind {
  const place = index % 24;
  if (place < 14) return 'smtp';
  if (place < 17) return 'replies';
  if (place < 19) return 'routes';
  return place < 20 ? 'packets' : 'configurations';
}
