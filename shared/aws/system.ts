// The machine's clock and randomness, for entry points.

import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Clock, Random } from '../queue/ports.ts';

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  pause: (ms) => setTimeout(ms, undefined, { ref: true }),
};

export const systemRandom: Random = {
  fraction: () => randomBytes(4).readUInt32BE(0) / 2 ** 32,
  name: () => randomBytes(9).toString('base64url'),
};
