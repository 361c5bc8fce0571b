// A world whose delivery stops in the middle of its first attempt: its lease is taken, its content in hand, nothing
// said to the destination yet. What a test does meanwhile happens during the attempt. Left by a failing test, the
// attempt goes on to its end before the world is closed.

import type { Stores } from '../../shared/aws/stores.ts';
import { startWorld, type World } from './world.ts';

export interface HaltedDelivery extends AsyncDisposable {
  readonly world: World;
  /** Begins to deliver; resolves when the attempt has stopped. */
  begin(): Promise<void>;
  /** Lets the attempt go on, to its end. */
  finish(): Promise<void>;
}

export async function startHaltedDelivery(): Promise<HaltedDelivery> {
  const leased = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const wrap = (stores: Stores, role: string): Stores =>
    role !== 'deliver'
      ? stores
      : {
          ...stores,
          spool: {
            ...stores.spool,
            open: async (key, offset, sizeBytes) => {
              const stream = await stores.spool.open(key, offset, sizeBytes);
              leased.resolve();
              await gate.promise;
              return stream;
            },
          },
        };
  const world = await startWorld({ wrap });
  let delivering: Promise<number> | undefined;
  const finish = async () => {
    gate.resolve();
    await delivering;
  };
  return {
    world,
    async begin() {
      delivering = world.deliver();
      await leased.promise;
    },
    finish,
    async [Symbol.asyncDispose]() {
      await finish();
      await world.close();
    },
  };
}
