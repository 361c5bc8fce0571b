// What Prometheus reads of the sidecar. Counters follow the log records and the samples of pushes, so that a figure and
// the lines behind it agree; gauges ask when they are read. Labels have few values: routes, modes, verdicts, codes,
// never domains or ids. docs/sidecar.md names every metric (a test compares both).

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { REFUSAL_REASONS, type RefusalReason } from './intake/refusals.ts';
import type { SidecarRecord, XferOut } from './log.ts';
import type { PushSample } from './push/held-message.ts';
import type { RouteState } from './push/route-health.ts';

/** Asked at each scrape. */
export interface MetricsSource {
  heldBytes(): number;
  maxHeldBytes(): number;
  routes(): readonly RouteState[];
  queues(): readonly { readonly queue: string; readonly active: number; readonly waiting: number }[];
  connections(): readonly { readonly listener: string; readonly open: number }[];
}

export interface Metrics {
  record(record: SidecarRecord): void;
  pushed(sample: PushSample): void;
  /** Of a listener, as `MetricsSource.connections` calls it. */
  refused(listener: string, reason: RefusalReason): void;
  /** In the text format of Prometheus, version 0.0.4. */
  text(source: MetricsSource): Promise<string>;
  readonly contentType: string;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const messages = new Counter({
    name: 'delay_xfer_sidecar_messages_total',
    help: 'Messages whose hand-over ended, by mode and by what came of it.',
    labelNames: ['mode', 'verdict'],
    registers,
  });
  const bytes = new Counter({
    name: 'delay_xfer_sidecar_message_bytes_total',
    help: 'Content of those messages, in octets.',
    labelNames: ['mode', 'verdict'],
    registers,
  });
  const withdrawals = new Counter({
    name: 'delay_xfer_sidecar_withdrawals_total',
    help: 'Messages taken back from a receiver, by outcome: withdrawn, kept or unconfirmed.',
    labelNames: ['outcome'],
    registers,
  });
  const replies = new Counter({
    name: 'delay_xfer_sidecar_replies_total',
    help: 'Replies for messages whose hand-over ended, by SMTP code. What is refused before stands in refusals_total.',
    labelNames: ['code'],
    registers,
  });
  const refusals = new Counter({
    name: 'delay_xfer_sidecar_refusals_total',
    help: 'Clients, commands and requests turned away before a hand-over, by listener and reason.',
    labelNames: ['listener', 'reason'],
    registers,
  });
  const handOver = new Histogram({
    name: 'delay_xfer_sidecar_hand_over_seconds',
    help: 'From the end of a message to the reply of its client.',
    labelNames: ['mode'],
    buckets: SECONDS,
    registers,
  });
  const attempts = new Counter({
    name: 'delay_xfer_sidecar_attempts_total',
    help: 'Recipients whom the sidecar tried by SMTP itself, by the type of their record in the log.',
    labelNames: ['outcome'],
    registers,
  });
  const notices = new Counter({
    name: 'delay_xfer_sidecar_notices_total',
    help: 'Notices in the log, by code and level.',
    labelNames: ['code', 'level'],
    registers,
  });
  const push = new Histogram({
    name: 'delay_xfer_sidecar_push_seconds',
    help: 'Requests to receivers, from their start to the answer or its absence.',
    labelNames: ['route', 'outcome'],
    buckets: SECONDS,
    registers,
  });
  const answers = new Counter({
    name: 'delay_xfer_sidecar_push_answers_total',
    help: 'Answers of receivers, by HTTP status.',
    labelNames: ['route', 'status'],
    registers,
  });
  const contentBytes = new Counter({
    name: 'delay_xfer_sidecar_push_content_bytes_total',
    help: 'Content pushed, repeats counted again, in octets.',
    labelNames: ['route'],
    registers,
  });
  const wireBytes = new Counter({
    name: 'delay_xfer_sidecar_push_wire_bytes_total',
    help: 'Bodies of requests as they were sent, compressed where they were, in octets.',
    labelNames: ['route'],
    registers,
  });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const gauges = {
    up: gauge(
      'delay_xfer_sidecar_route_up',
      '1 while new mail goes to the route, 0 while it is left alone.',
      ['route'],
    ),
    active: gauge('delay_xfer_sidecar_transfers_in_flight', 'Transfers with a request under way.', ['queue']),
    waiting: gauge('delay_xfer_sidecar_messages_waiting', 'Messages that wait for a transfer.', ['queue']),
    held: gauge('delay_xfer_sidecar_held_bytes', 'Content held in memory, in octets.'),
    maxHeld: gauge('delay_xfer_sidecar_held_bytes_limit', 'Max_Held_Bytes: past it mail is refused for now.'),
    connections: gauge('delay_xfer_sidecar_connections', 'Open connections of clients.', ['listener']),
    resident: gauge('process_resident_memory_bytes', 'Resident memory of the process, in octets.'),
    started: gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.'),
  };
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent, in seconds.',
    registers,
  });
  gauges.started.set(Date.now() / 1000 - process.uptime());
  const recordMessage = (out: XferOut): void => {
    const labels = { mode: out.mode, verdict: out.verdict };
    messages.inc(labels);
    bytes.inc(labels, out.size);
    replies.inc({ code: out.response.code });
    handOver.observe({ mode: out.mode }, out.latency_ms / 1000);
    if (out.withdrawal !== null) withdrawals.inc({ outcome: out.withdrawal });
  };
  return {
    contentType: registry.contentType,
    record(record) {
      if (record.type === 'XferOut') recordMessage(record);
      else if (record.type === 'Notice') notices.inc({ code: record.code, level: record.level });
      else attempts.inc({ outcome: record.type });
    },
    pushed(sample) {
      const { route, outcome, status } = sample;
      push.observe({ route, outcome }, sample.durationMs / 1000);
      if (status !== null) answers.inc({ route, status });
      contentBytes.inc({ route }, sample.contentBytes);
      wireBytes.inc({ route }, sample.wireBytes);
    },
    refused(listener, reason) {
      refusals.inc({ listener, reason });
    },
    async text(source) {
      // What a reload has taken away must not be told any more.
      for (const one of [gauges.up, gauges.active, gauges.waiting, gauges.connections]) one.reset();
      for (const { route, up } of source.routes()) gauges.up.set({ route }, up ? 1 : 0);
      for (const { queue, active, waiting } of source.queues()) {
        gauges.active.set({ queue }, active);
        gauges.waiting.set({ queue }, waiting);
      }
      for (const { listener, open } of source.connections()) {
        gauges.connections.set({ listener }, open);
        // From 0 on, so that increase() sees the first one.
        for (const reason of REFUSAL_REASONS) refusals.inc({ listener, reason }, 0);
      }
      gauges.held.set(source.heldBytes());
      gauges.maxHeld.set(source.maxHeldBytes());
      const { user, system } = process.cpuUsage();
      gauges.resident.set(process.memoryUsage.rss());
      cpu.reset();
      cpu.inc((user + system) / 1_000_000);
      return registry.metrics();
    },
  };
}
