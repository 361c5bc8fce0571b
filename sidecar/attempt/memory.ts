// What attempts by SMTP know beyond one configuration: a reload must neither forget who was delivered or is being
// delivered, nor which hosts a domain's policy allows, nor count the open sessions from zero.

import { createMemoryPolicies } from '../../shared/routing/memory-policies.ts';
import type { PolicyStore } from '../../shared/routing/sts-cache.ts';
import type { Clock } from '../clock.ts';
import { createDeliveredMemory, type DeliveredMemory } from './delivered-memory.ts';
import { createSessionPool, type SessionPool } from './session-pool.ts';

export interface AttemptMemory {
  readonly delivered: DeliveredMemory;
  /** Of a message for one recipient: a repeat that comes while the first one lasts must not deliver beside it. */
  readonly underWay: Set<string>;
  readonly policies: PolicyStore;
  readonly pool: SessionPool;
}

export function createAttemptMemory(clock: Clock): AttemptMemory {
  return {
    delivered: createDeliveredMemory(clock.nowMs),
    underWay: new Set(),
    policies: createMemoryPolicies(),
    pool: createSessionPool(clock),
  };
}
