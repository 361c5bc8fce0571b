// The queue's limits as the domain sees them, derived from AWS's.

import type { QueueLimits } from '../queue/parking.ts';
import {
  MAX_HIDE_SECONDS,
  QUEUE_VISIBILITY_SECONDS,
  SQS_MAX_DELAY_SECONDS,
  SQS_MAX_IN_FLIGHT,
} from './limits.ts';

export const QUEUE_LIMITS: QueueLimits = {
  maxHideMs: MAX_HIDE_SECONDS * 1_000,
  inFlightMark: SQS_MAX_IN_FLIGHT / 2,
  queueVisibilityMs: QUEUE_VISIBILITY_SECONDS * 1_000,
  maxDelayMs: SQS_MAX_DELAY_SECONDS * 1_000,
};
