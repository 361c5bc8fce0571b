// Order among equals: hosts of one preference, addresses of one host.

/** In random order (Fisher and Yates); `random` gives [0, 1), once per item. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  const drawn: T[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return drawn;
}
