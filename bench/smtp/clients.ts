// The bench's side of the processes in which clients are measured.

import * as z from 'zod/mini';
import { startChild } from './child.ts';

/** Our client, nodemailer's, and the whole way of a delivery with ours at its end. */
export const clientNames = z.enum(['ours', 'nodemailer', 'deliveries']);
export type ClientName = z.infer<typeof clientNames>;

export const clientQuestion = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('send'),
    port: z.number(),
    count: z.number(),
    warm: z.number(),
    slowStores: z.boolean(),
  }),
  z.object({ kind: z.literal('large'), port: z.number(), sizeBytes: z.number() }),
]);

const sentShape = z.object({ cpuMs: z.number(), elapsedMs: z.nullable(z.number()) });
const largeShape = z.object({ extraBytes: z.number(), elapsedMs: z.number() });

export interface Client {
  /**
   * So many messages of 10 KB over one connection. CPU time with connecting, EHLO and QUIT; the time from the end of
   * message `warm` to the last one's by its own clock, where it hears of every end. Of deliveries: whether their
   * stores take as long to answer as AWS does.
   */
  send(
    port: number,
    count: number,
    warm: number,
    options?: { readonly slowStores: boolean },
  ): Promise<z.infer<typeof sentShape>>;
  /** One large message over one connection: how much more memory was resident at the worst moment. */
  large(port: number, sizeBytes: number): Promise<z.infer<typeof largeShape>>;
  close(): Promise<void>;
}

export async function startClient(name: ClientName, profileFolder?: string): Promise<Client> {
  const profile = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const child = await startChild('client-process.ts', [name], ['--expose-gc', ...profile]);
  return {
    send: (port, count, warm, { slowStores } = { slowStores: false }) =>
      child.ask({ kind: 'send', port, count, warm, slowStores }, sentShape),
    large: (port, sizeBytes) => child.ask({ kind: 'large', port, sizeBytes }, largeShape),
    close: child.close,
  };
}
