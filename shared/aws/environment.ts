// The functions' environment, read once at the start; all faults are reported together.

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws one error that names every variable that is missing: the function is deployed wrongly. */
export function required<K extends string>(
  environment: Environment,
  names: readonly K[],
): (name: K) => string {
  const missing = names.filter((name) => (environment[name] ?? '') === '');
  if (missing.length > 0) throw new Error(`the function's environment lacks ${missing.join(', ')}`);
  return (name: K) => environment[name] ?? '';
}
