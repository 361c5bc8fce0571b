// Ports that are wished for. A default that is taken gives way to a free port; one that somebody asked for is
// insisted on, and the error names it.

export interface PortWish {
  readonly port: number;
  /** Somebody wrote this port down. */
  readonly insisted: boolean;
}

/** The system chooses. */
export const ANY_PORT: PortWish = { port: 0, insisted: false };

export class PortTaken extends Error {
  readonly code = 'port-taken';
}

/** Calls `start` with the wished port, or with 0 when that is taken. Rejects with `PortTaken`, or what `start` says. */
export async function onPort<T>(
  wish: PortWish,
  purpose: string,
  start: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await start(wish.port);
  } catch (error) {
    if (!isAddressInUse(error)) throw error;
    if (!wish.insisted) return await start(0);
    throw new PortTaken(`port ${wish.port} for ${purpose} is taken by another program`, { cause: error });
  }
}

function isAddressInUse(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === 'EADDRINUSE') || isAddressInUse(error.cause);
}
