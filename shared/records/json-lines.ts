// The log: one JSON line per record or notice.

import type { Log } from './records.ts';

export function createJsonLog(write: (line: string) => void, nowMs: () => number): Log {
  return {
    record: (record) => write(`${JSON.stringify(record)}\n`),
    notice: (notice) => write(`${JSON.stringify({ ...notice, timestamp: nowMs() / 1_000 })}\n`),
  };
}
