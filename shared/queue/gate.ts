// Lets a few pieces of work through at once, in the order in which they came; the others wait.

export type Gate = <T>(work: () => Promise<T>) => Promise<T>;

export function createGate(width: number): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async (work) => {
    if (inside >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else inside += 1;
    try {
      return await work();
    } finally {
      // Whoever waits takes the place that is left.
      const next = waiting.shift();
      if (next === undefined) inside -= 1;
      else next();
    }
  };
}
