// The ledger's table: keys, indexes and the TTL attribute, in one place for the stack, the embedded stack
// and the adapter. Attribute names of the items themselves are in `ledger-item.ts`.

export const PARTITION_KEY = 'pk';
export const SORT_KEY = 'sk';
/** DynamoDB TTL, epoch seconds. Expired items can still be read: readers filter. */
export const TTL_ATTRIBUTE = 'ttl';

/** Both indexes are KEYS_ONLY and sparse. */
export const INDEXES = [
  { name: 'by-due', partitionKey: 'dueBucket', sortKey: 'dueKey' },
  { name: 'by-domain', partitionKey: 'domainShard', sortKey: 'domainKey' },
] as const;
