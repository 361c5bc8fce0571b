// Counts the calls that the SDK's clients really make, in the units that AWS charges for. DynamoDB's units come
// from the sizes of the items: the meter remembers what each item was before a write, so every write must pass
// here. Updates are made to answer with the whole item, which costs nothing.
// Throws for a call that has no price: it belongs into prices.ts.

import { setTimeout as delay } from 'node:timers/promises';
import {
  ConditionalCheckFailedException,
  type ServiceInputTypes,
  type ServiceOutputTypes,
} from '@aws-sdk/client-dynamodb';
import type { Clients } from '../shared/aws/stores.ts';
import { PARTITION_KEY, SORT_KEY } from '../shared/aws/table.ts';
import { type Item, indexWriteUnits, itemSizeBytes, readUnits, writeUnits } from './item-units.ts';
import { isUse, type Use } from './prices.ts';

/** Calls, and what is charged for them. */
export interface Amount {
  readonly calls: number;
  readonly units: number;
}

export type Usage = Partial<Record<Use, Amount>>;

export interface Meter {
  add(use: string, units: number): void;
  /** Since the last reading. */
  read(): Usage;
  /** Sizes of the items that were written, in bytes. */
  itemSizes(): readonly number[];
}

/** How long AWS takes to answer, added to every call; what the emulators take comes on top. */
export interface StoreLatency {
  readonly dynamodbMs: number;
  readonly s3Ms: number;
  readonly sqsMs: number;
}

export function createMeter(): Meter & { noteItemSize(sizeBytes: number): void } {
  let usage = new Map<Use, Amount>();
  const sizes: number[] = [];
  return {
    add(name, units) {
      if (!isUse(name)) throw new Error(`${name} has no price`);
      const { calls, units: before } = usage.get(name) ?? { calls: 0, units: 0 };
      usage.set(name, { calls: calls + 1, units: before + units });
    },
    read() {
      const read: Usage = Object.fromEntries(usage);
      usage = new Map();
      return read;
    },
    itemSizes: () => sizes,
    noteItemSize: (sizeBytes) => void sizes.push(sizeBytes),
  };
}

export function meterClients(
  { dynamodb, s3, sqs }: Clients,
  meter: ReturnType<typeof createMeter>,
  latency: StoreLatency,
): void {
  const stored = new Map<string, Item>();
  dynamodb.middlewareStack.add(
    (next, context) => async (args) => {
      await delay(latency.dynamodbMs);
      const input = withWholeAnswer(args.input);
      try {
        const result = await next({ ...args, input });
        noteDynamo(context.commandName ?? '', input, result.output, stored, meter);
        return result;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) noteRefused(context.commandName ?? '', input);
        throw error;
      }
    },
    { step: 'initialize' },
  );
  const noteRefused = (command: string, input: ServiceInputTypes) => {
    const before = stored.get(keyOf(input));
    meter.add(unitsName(command), writeUnits(before === undefined ? 0 : itemSizeBytes(before), 0));
  };
  s3.middlewareStack.add(
    (next, context) => async (args) => {
      await delay(latency.s3Ms);
      meter.add(`S3 ${shortName(context.commandName)}`, 1);
      return next(args);
    },
    { step: 'initialize' },
  );
  sqs.middlewareStack.add(
    (next, context) => async (args) => {
      await delay(latency.sqsMs);
      meter.add(`SQS ${shortName(context.commandName)}`, sqsUnits(args.input));
      return next(args);
    },
    { step: 'initialize' },
  );
}

/** SQS charges one request for each begun 64 KB. */
export function sqsUnits(input: object): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(JSON.stringify(input)) / 65_536));
}

function noteDynamo(
  command: string,
  input: ServiceInputTypes,
  output: ServiceOutputTypes,
  stored: Map<string, Item>,
  meter: ReturnType<typeof createMeter>,
): void {
  const name = unitsName(command);
  if (command === 'QueryCommand') {
    const items = 'Items' in output ? (output.Items ?? []) : [];
    const sizeBytes = items.reduce((sum, item) => sum + itemSizeBytes(item), 0);
    meter.add(name, readUnits(sizeBytes, 'ConsistentRead' in input && input.ConsistentRead === true));
    return;
  }
  if (command === 'GetItemCommand') {
    const item = 'Item' in output ? (output.Item ?? {}) : {};
    meter.add(
      name,
      readUnits(itemSizeBytes(item), 'ConsistentRead' in input && input.ConsistentRead === true),
    );
    return;
  }
  const key = keyOf(input);
  const before = stored.get(key);
  const after =
    'Item' in input
      ? input.Item
      : 'Attributes' in output && command !== 'DeleteItemCommand'
        ? output.Attributes
        : undefined;
  const afterBytes = after === undefined ? 0 : itemSizeBytes(after);
  meter.add(name, writeUnits(before === undefined ? 0 : itemSizeBytes(before), afterBytes));
  const indexUnits = indexWriteUnits(before, after);
  if (indexUnits > 0) meter.add('DynamoDB index writes', indexUnits);
  if (after === undefined) stored.delete(key);
  else {
    stored.set(key, after);
    meter.noteItemSize(afterBytes);
  }
}

function withWholeAnswer(input: ServiceInputTypes): ServiceInputTypes {
  return 'UpdateExpression' in input ? { ...input, ReturnValues: 'ALL_NEW' } : input;
}

function keyOf(input: ServiceInputTypes): string {
  const key = 'Item' in input ? input.Item : 'Key' in input ? input.Key : undefined;
  const [partition, sort] = [key?.[PARTITION_KEY]?.S, key?.[SORT_KEY]?.S];
  if (partition === undefined || sort === undefined) throw new Error('a write without the keys of our table');
  return `${partition} ${sort}`;
}

function unitsName(command: string): string {
  return `DynamoDB ${shortName(command)}, units`;
}

/** `PutItemCommand` → `PutItem`. */
function shortName(command: string | undefined): string {
  return (command ?? '').replace(/Command$/, '');
}
