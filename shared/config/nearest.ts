// The known name that a mistyped one most likely stood for.

/** The candidate at the least edit distance, when it is near enough to be a slip; letter case counts nothing. */
export function nearestName(wrong: string, candidates: readonly string[]): string | undefined {
  const slack = Math.max(1, Math.min(2, wrong.length >> 1), Math.floor(wrong.length / 3));
  let best: string | undefined;
  let bestDistance = slack + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wrong.length) > slack) continue;
    const distance = editDistance(wrong.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

// Insertions, deletions, replacements and swaps of neighbours, each counted once.
function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = at(previous, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      let distance = Math.min(replaced, at(previous, j) + 1, at(current, j - 1) + 1);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        distance = Math.min(distance, at(beforePrevious, j - 2) + 1);
      }
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
