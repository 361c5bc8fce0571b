// What a test needs to be understood when it has failed elsewhere: the server's own words.

import type { TestContext } from 'node:test';

/** A subtest whose failure says what the evidence is. */
export function testWithEvidence(
  context: TestContext,
  title: string,
  evidence: () => string | Promise<string>,
  run: () => Promise<void>,
): Promise<void> {
  return context.test(title, async () => {
    try {
      await run();
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      throw new Error(`${fault}\n\n${await evidence()}`, { cause: error });
    }
  });
}
