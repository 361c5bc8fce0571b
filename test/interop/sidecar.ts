// A sidecar beside an MTA, in a process of its own.

import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import type { Lifetime } from './directory.ts';
import { start } from './program.ts';
import { until } from './until.ts';

const OUT = z.object({
  type: z.literal('XferOut'),
  id: z.string(),
  recipients: z.array(z.string()),
  mode: z.string(),
  verdict: z.string(),
  tries: z.number(),
});

export type HandedOver = z.infer<typeof OUT>;

export interface SidecarProcess {
  readonly port: number;
  /** What it handed over, or did not, in order. */
  handedOver(): readonly HandedOver[];
  /** As SIGKILL ends it: nothing is finished. */
  destroy(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

/** A configuration file of sidecar/examples, as it stands. */
export function example(name: string): string {
  return fileURLToPath(new URL(`../../sidecar/examples/${name}`, import.meta.url));
}

export interface SidecarOptions {
  /** A file. */
  readonly configuration: string;
  /** Of 127.0.0.1; the file says 2525 when absent. */
  readonly port?: number;
}

export async function startSidecar(lifetime: Lifetime, options: SidecarOptions): Promise<SidecarProcess> {
  const { configuration, port } = options;
  const listen = port === undefined ? [] : ['--listen', `127.0.0.1:${port}`];
  const handedOver: HandedOver[] = [];
  const program = await start(process.execPath, [MAIN, '--config', configuration, ...listen], (line) => {
    const parsed = OUT.safeParse(JSON.parse(line));
    if (parsed.success) handedOver.push(parsed.data);
  });
  lifetime.defer(() => program.kill());
  await until(
    'the sidecar listens',
    () => {
      if (program.hasEnded()) throw new Error(`the sidecar ended\n${program.output()}`);
      return program.output().includes('"listening"') || undefined;
    },
    program.output,
  );
  return { port: port ?? 2525, handedOver: () => handedOver, destroy: () => program.kill('SIGKILL') };
}
