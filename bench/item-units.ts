// What DynamoDB charges for an item, by its rules: sizes from names and values, write units of 1 KB, read units of
// 4 KB, and a write for every entry that an index gains or loses.
// Source: DynamoDB developer guide, "Item sizes and formats", "Read and write operations", and "Write
// considerations" of global secondary indexes.

import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { INDEXES } from '../shared/aws/table.ts';

export type Item = Readonly<Record<string, AttributeValue>>;

/** In bytes, as capacity is counted: without the 100 bytes that storage adds. */
export function itemSizeBytes(item: Item): number {
  return Object.entries(item).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + valueSizeBytes(value),
    0,
  );
}

/** Of one write: the larger of the item before and after counts; a write of nothing costs one. */
export function writeUnits(beforeBytes: number, afterBytes: number): number {
  return Math.max(1, Math.ceil(Math.max(beforeBytes, afterBytes) / 1_024));
}

/** A strongly consistent read; an eventually consistent one costs half. */
export function readUnits(sizeBytes: number, consistent: boolean): number {
  return Math.max(1, Math.ceil(sizeBytes / 4_096)) * (consistent ? 1 : 0.5);
}

/** Both indexes hold keys alone, so that an entry is always one unit. */
export function indexWriteUnits(before: Item | undefined, after: Item | undefined): number {
  return INDEXES.reduce((sum, index) => {
    const [old, fresh] = [before, after].map((item) => {
      const [partition, sort] = [item?.[index.partitionKey]?.S, item?.[index.sortKey]?.S];
      return partition === undefined || sort === undefined ? undefined : `${partition} ${sort}`;
    });
    if (old === fresh) return sum;
    return sum + (old === undefined ? 0 : 1) + (fresh === undefined ? 0 : 1);
  }, 0);
}

function valueSizeBytes(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return numberSizeBytes(value.N);
  if (value.B !== undefined) return value.B.length;
  if (value.SS !== undefined) return value.SS.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (value.BOOL !== undefined || value.NULL !== undefined) return 1;
  throw new Error(`items of ours hold no ${Object.keys(value).join()}`);
}

/** Of an integer: about a byte for two significant digits, one more, and one for a minus sign. */
function numberSizeBytes(digits: string): number {
  const significant = digits.replace(/^-?0*|0*$/g, '');
  return Math.ceil(significant.length / 2) + 1 + (digits.startsWith('-') ? 1 : 0);
}
