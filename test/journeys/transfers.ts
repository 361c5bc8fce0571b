// Transfers as clients send them, and what became of a message, in lines that read well in a table.

import { createHash } from 'node:crypto';
import type { DeliveryItem } from '../../shared/queue/delivery.ts';
import { isDeliveryItem } from '../../shared/queue/delivery.ts';
import type { Random } from '../../shared/queue/ports.ts';
import type { LogRecord } from '../../shared/records/records.ts';
import type { World } from './world.ts';

export const CREDENTIAL = 'tester';
export const SENDER = 'a@sender.example';

/** A message whose octets name it, with what dot-stuffing could spoil. */
export function letter(subject: string): string {
  return `From: ${SENDER}\r\nSubject: ${subject}\r\n\r\n.one dot\r\n..two dots\r\nthe end\r\n`;
}

/** The fields of one message for JSON. */
export function message(id: string, recipients: readonly unknown[], more: object = {}): object {
  return { id, sender: SENDER, recipients, content: letter(id), ...more };
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
}

/** Any request; a body that is not JSON is answered as text. */
export async function request(world: World, path: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(`${world.baseUrl}${path}`, init);
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, type, body: type.includes('json') ? JSON.parse(text) : text };
}

/** A frame of XFER/1. `fields` are added to the common ones, or stand in their place. */
export function frame(
  id: string,
  recipients: readonly unknown[],
  content: string,
  fields: object = {},
): Buffer {
  const octets = Buffer.from(content);
  const line = { id, sender: SENDER, recipients, sizeBytes: octets.length, ...fields };
  return Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), octets]);
}

export function postFrames(
  world: World,
  frames: readonly Buffer[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return request(world, '/delay_message', {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.delay-xfer.v1', ...headers },
    body: Buffer.concat(frames),
  });
}

export function withdraw(world: World, id: string): Promise<Answer> {
  return request(world, `/delay_message/${id}`, { method: 'DELETE' });
}

export function sha256Hex(octets: string | Uint8Array): string {
  return createHash('sha256').update(octets).digest('hex');
}

/** Always the same fraction: 0.5 takes the middle of every jitter. Names are fresh ones. */
export function steady(fraction = 0.5): Random {
  let names = 0;
  return {
    fraction: () => fraction,
    name: () => {
      names += 1;
      return `name${String(names).padStart(8, '0')}`;
    },
  };
}

/** The deliveries of a message, in chunk order. */
export async function deliveries(world: World, id: string): Promise<readonly DeliveryItem[]> {
  return (await world.items({ credential: CREDENTIAL, id })).filter(isDeliveryItem);
}

/** The only delivery of a message. */
export async function delivery(world: World, id: string): Promise<DeliveryItem['delivery']> {
  const [first, ...others] = await deliveries(world, id);
  if (first === undefined || others.length > 0) throw new Error(`${id} has not one delivery`);
  return first.delivery;
}

/** To the moment, and the second that a queue may take longer; never back. */
export function advanceTo(world: World, atMs: number): void {
  world.clock.advance(Math.max(0, atMs + 1_000 - world.clock.nowMs()));
}

export function recordsOf(world: World, id: string): readonly LogRecord[] {
  return world.records.filter((record) => record.id === id);
}

/** `TransientFailure a@b.example 450 rcpt 1`: type, recipient, code, command, attempts; in order. */
export function told(world: World, id: string): readonly string[] {
  return recordsOf(world, id).map(({ type, recipient, response, num_attempts }) =>
    [type, recipient, response?.code, response?.command ?? undefined, num_attempts]
      .filter((part) => part !== undefined)
      .join(' '),
  );
}

/** Contents that arrived for an address, without our trace. */
export function arrived(world: World, address: string): readonly string[] {
  return world.sink.received
    .filter((mail) => mail.recipients.some((recipient) => recipient.address === address))
    .map((mail) => withoutTrace(mail.content));
}

/** Reports that reached a sender, in order, without our trace. */
export function reportsTo(world: World, sender = SENDER): readonly string[] {
  return world.sink.received
    .filter((mail) => mail.sender === '' && mail.recipients.some(({ address }) => address === sender))
    .map((mail) => withoutTrace(mail.content));
}

/** `a@reject.test failed 5.1.1` for every recipient of a report. */
export function reported(report: string): readonly string[] {
  const groups = report.matchAll(/^Final-Recipient: \S+ (\S+)\r\nAction: (\w+)\r\nStatus: ([\d.]+)\r\n/gm);
  return [...groups].map(([, address, action, status]) => `${address} ${action} ${status}`);
}

/** Octets behind the header that we put in front, one character each. */
export function withoutTrace(content: Buffer): string {
  const text = content.toString('latin1');
  const trace = /^Received: .*\r\n(?:[\t ].*\r\n)*/.exec(text)?.[0];
  if (trace === undefined) throw new Error(`no trace stands in front: ${text.slice(0, 80)}`);
  return text.slice(trace.length);
}
