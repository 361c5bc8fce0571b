// Tells systemd how the sidecar is doing (sd_notify(3)), where $NOTIFY_SOCKET asks for it. Node opens no datagram
// sockets of the Unix family, so each message is sent by the program systemd-notify, which is part of systemd; its
// unit needs NotifyAccess=all. Messages are sent one after another. Nothing here ever fails the sidecar: what cannot
// be sent is told once, by `failed`.

import { execFile } from 'node:child_process';

export interface ServiceManager {
  /** READY=1, or the end of a reload. */
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  /** Sends no more watchdog messages; resolves when everything has been sent. */
  close(): Promise<void>;
}

export interface ServiceManagerOptions {
  /** `process.env`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of this process. */
  readonly pid: number;
  /** CLOCK_MONOTONIC, in microseconds. */
  readonly monotonicMicros: () => bigint;
  readonly failed: (reason: string) => void;
}

const PROGRAM = 'systemd-notify';
/** The manager kills a service that it has not heard of for WATCHDOG_USEC; half of it is advised. */
const WATCHDOG_SHARE = 2;

export function serviceManager(options: ServiceManagerOptions): ServiceManager {
  const { environment, pid, monotonicMicros, failed } = options;
  if ((environment['NOTIFY_SOCKET'] ?? '') === '') return SILENT;
  let told = false;
  let last: Promise<void> = Promise.resolve();
  const send = (...variables: readonly string[]): void => {
    last = last
      .then(() => notify(variables))
      .catch((error: unknown) => {
        if (!told)
          failed(`${PROGRAM} does not run: ${error instanceof Error ? error.message : String(error)}`);
        told = true;
      });
  };
  const periodMs = watchdogMs(environment, pid);
  const watchdog = periodMs === undefined ? undefined : setInterval(() => send('WATCHDOG=1'), periodMs);
  watchdog?.unref();
  return {
    ready: (status) => send('READY=1', `MAINPID=${pid}`, `STATUS=${status}`),
    // Type=notify-reload counts what is ready only after this instant.
    reloading: () =>
      send('RELOADING=1', `MONOTONIC_USEC=${monotonicMicros()}`, 'STATUS=reading its files anew'),
    stopping: () => send('STOPPING=1', 'STATUS=taking no new mail; finishing what is under way'),
    async close() {
      clearInterval(watchdog);
      await last;
    },
  };
}

/** How often the watchdog wants to hear of process `pid`; undefined when it does not. */
export function watchdogMs(
  environment: ServiceManagerOptions['environment'],
  pid: number,
): number | undefined {
  const micros = Number(environment['WATCHDOG_USEC']);
  const forUs = (environment['WATCHDOG_PID'] ?? String(pid)) === String(pid);
  return forUs && micros > 0 ? micros / 1000 / WATCHDOG_SHARE : undefined;
}

const SILENT: ServiceManager = {
  ready() {},
  reloading() {},
  stopping() {},
  async close() {},
};

const NOTIFY_TIMEOUT_MS = 10_000;

function notify(variables: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(PROGRAM, [...variables], { timeout: NOTIFY_TIMEOUT_MS }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
