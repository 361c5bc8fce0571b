// Calls that come while a call is under way share the next one. A lone call goes out at once, so nothing waits
// for company, unless the caller asks for it; under load a batch fills itself.

/**
 * `call` answers per item with its result, or with the error of that item; what it throws goes to all. `company`
 * is awaited before each call, so that more items join it.
 */
export function gather<T, R>(
  most: number,
  call: (items: readonly T[]) => Promise<readonly (R | Error)[]>,
  company: () => Promise<void> = () => Promise.resolve(),
): (item: T) => Promise<R> {
  interface Waiting {
    readonly item: T;
    readonly resolve: (result: R) => void;
    readonly reject: (error: unknown) => void;
  }
  const waiting: Waiting[] = [];
  let busy = false;

  const pump = async () => {
    if (busy) return;
    busy = true;
    while (waiting.length > 0) {
      // Calls made in the same turn of the event loop go together in any case.
      await company();
      const batch = waiting.splice(0, most);
      try {
        const results = await call(batch.map(({ item }) => item));
        for (const [index, { resolve, reject }] of batch.entries()) {
          const result = results[index];
          if (result === undefined) reject(new Error('a shared call gave no result for one of its items'));
          else if (result instanceof Error) reject(result);
          else resolve(result);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    busy = false;
  };

  return (item) =>
    new Promise<R>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      void pump();
    });
}
