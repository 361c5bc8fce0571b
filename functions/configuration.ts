// The configuration that was deployed beside a function's code. Throws when it cannot be read, which a synth has
// ruled out: the function then does not start, and mail waits.

import { join } from 'node:path';
import { EMPTY_CONFIGURATION } from '../shared/config/configuration.ts';
import type { DeliverySettings } from '../shared/config/delivery-settings.ts';
import { type ReceivingConfiguration, readReceivingFiles } from '../shared/files/configuration-files.ts';
import { readReplyClasses } from '../shared/report/class-file.ts';
import { createReplyClassifier, type ReplyClassifier } from '../shared/report/class-of-reply.ts';

const NOTHING: ReceivingConfiguration = {
  ok: true,
  configuration: EMPTY_CONFIGURATION,
  files: [],
  sources: [],
  named: new Map(),
  warnings: [],
};

/** `LAMBDA_TASK_ROOT` is where Lambda unpacks a function; `CONFIGURATION_FILE` is below it, when there is one. */
export function deployedConfiguration(environment: NodeJS.ProcessEnv): ReceivingConfiguration {
  const file = environment['CONFIGURATION_FILE'];
  if (file === undefined) return NOTHING;
  const read = readReceivingFiles([join(environment['LAMBDA_TASK_ROOT'] ?? '.', file)]);
  if (!read.ok) throw new Error(`the configuration has faults:\n${read.faults.join('\n')}`);
  return read;
}

/** The shipped rules, behind those of the file that `Reply_Classes` names. */
export function replyClassifier(
  { replyClasses: path }: DeliverySettings,
  named: ReadonlyMap<string, string>,
): ReplyClassifier {
  if (path === undefined) return createReplyClassifier();
  const read = readReplyClasses(named.get(path) ?? '', path);
  if (read.kind === 'faults') throw new Error(`${path} was checked, and has faults now`);
  return createReplyClassifier(read.rules);
}
