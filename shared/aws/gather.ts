// Calls that come while a call is under way share the next one. A lone call goes out at once, so nothing waits
// for company; under load a batch fills itself.

/** `call` answers per item with undefined, or with the error of that item; what it throws goes to all. */
export function gather<T>(
  most: number,
  call: (items: readonly T[]) => Promise<readonly (Error | undefined)[]>,
): (item: T) => Promise<void> {
  interface Waiting {
    readonly item: T;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }
  const waiting: Waiting[] = [];
  let busy = false;

  const pump = async () => {
    if (busy) return;
    busy = true;
    // Calls made in the same turn of the event loop go together.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most);
      try {
        const results = await call(batch.map(({ item }) => item));
        for (const [index, { resolve, reject }] of batch.entries()) {
          const error = results[index];
          if (error === undefined) resolve();
          else reject(error);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    busy = false;
  };

  return (item) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      void pump();
    });
}
