// The minute's run of release.

import type { Context } from 'aws-lambda';
import type { ReleaseDeps } from '../../shared/queue/due-entry.ts';
import { type ReleaseSummary, releaseDue } from '../../shared/queue/release.ts';

export type ReleaseHandler = (event: unknown, context: Context) => Promise<ReleaseSummary>;

/** Left for the last bucket and the cursors. */
const CLOSING_TIME_MS = 5_000;

export function createReleaseHandler(deps: ReleaseDeps): ReleaseHandler {
  return (_event, context) =>
    releaseDue(deps, deps.clock.nowMs() + context.getRemainingTimeInMillis() - CLOSING_TIME_MS);
}
