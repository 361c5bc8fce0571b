// Draws by a seed: the same seed, the same draws.

export interface Draw {
  /** Whole, from 0 up to and without `count`. */
  below(count: number): number;
  chance(probability: number): boolean;
  /** Throws on an empty list. */
  pick<T>(list: readonly T[]): T;
  /** Each entry with its weight. */
  weighted<T>(list: readonly (readonly [weight: number, value: T])[]): T;
  shuffled<T>(list: readonly T[]): T[];
}

/** The draws of one case among those of a seed: cases do not depend on each other. */
export function drawOf(seed: number, index: number): Draw {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);

  // Mulberry32.
  function fraction(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  const below = (count: number): number => Math.floor(fraction() * count);

  function pick<T>(list: readonly T[]): T {
    const at = below(list.length);
    for (const [index, value] of list.entries()) if (index === at) return value;
    throw new Error('nothing to pick from');
  }

  return {
    below,
    chance: (probability) => fraction() < probability,
    pick,
    weighted(list) {
      const total = list.reduce((sum, [weight]) => sum + weight, 0);
      let left = fraction() * total;
      for (const [weight, value] of list) {
        left -= weight;
        if (left < 0) return value;
      }
      return pick(list)[1];
    },
    shuffled(list) {
      const left = [...list];
      return Array.from(list, () => left.splice(below(left.length), 1)).flat();
    },
  };
}
