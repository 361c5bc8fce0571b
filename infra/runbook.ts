// What an alarm says: what is wrong, and where to read what to do. The headings are in docs/aws.md, and a
// test looks each of them up there.

/** `fault` is the heading, as a short statement. */
export function runbook(fault: string): string {
  const heading = fault.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase();
  return `${fault.charAt(0).toUpperCase()}${fault.slice(1)}. What to do: docs/aws.md#${heading}`;
}
