// Plays a dialogue script: hands its messages to the client, lets the peer play its part, and tells what came of
// it, one line each, in the words of the script's outcome.

import assert from 'node:assert/strict';
import type {
  OpenOutcome,
  PeerMemory,
  PeerTrait,
  SmtpClient,
  SmtpSession,
  TransactionResult,
} from '../../shared/smtp/client.ts';
import { formatReply, type Reply } from '../../shared/smtp/reply.ts';
import { createSmtpClient } from '../../shared/smtp/smtp-client.ts';
import type { DialogScript, ScriptedMessage } from './script-file.ts';
import { type ScriptedPeer, startScriptedPeer } from './scripted-peer.ts';
import { target } from './smtp-session.ts';

/** A peer that was not called, or was left in the middle, would wait for ever. */
const STUCK_MS = 30_000;

function createClient(memory: PeerMemory): SmtpClient {
  return createSmtpClient({ memory });
}

/** Throws, with the transcript, when the dialogue or its outcome is not the script's. */
export async function playScript(script: DialogScript): Promise<void> {
  await using peer = await startScriptedPeer(...script.scenes);
  try {
    const { told, facts } = await inTime(converse(script, peer));
    await inTime(peer.played());
    const expected = script.outcome.filter((line) => !FACT.test(line));
    assert.deepEqual(told, withWildcards(expected, told));
    const expectedFacts = script.outcome.filter((line) => FACT.test(line));
    const factsAsked = facts.filter((line) => expectedFacts.some((fact) => kindOf(fact) === kindOf(line)));
    assert.deepEqual(factsAsked.toSorted(), expectedFacts.toSorted());
    assertContents(script, peer);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const dialogue = peer.transcript.join('\n');
    throw new Error(why.includes(dialogue) ? why : `${why}\nThe dialogue was:\n${dialogue}`);
  }
}

/** Lines that a script may expect or leave out; the others are always told. */
const FACT = /^(tls|tls result|offers|noted) ?:/;

function kindOf(fact: string): string {
  return fact.slice(0, fact.indexOf(':'));
}

interface Told {
  readonly told: readonly string[];
  readonly facts: readonly string[];
}

async function converse(script: DialogScript, peer: ScriptedPeer): Promise<Told> {
  const noted: PeerTrait[] = [];
  const client = createClient({
    recall: async () => script.remembered,
    note: async (_host, _port, trait) => {
      noted.push(trait);
    },
  });
  const { host, mxAuthenticated, tls, timeouts } = script;
  const opening = await client.open(target(peer.port, { host, mxAuthenticated, tls, timeouts }));
  const facts = [...openingFacts(opening)];
  const told: string[] = [];
  if (opening.kind === 'failed') {
    told.push(`opening failed at ${opening.stage}: ${tell(opening.reply)}`);
  } else {
    const { session } = opening;
    const results = await handOver(session, script);
    for (const [index, result] of results.entries()) {
      told.push(...tellResult(result, script.messages[index], results.length > 1 ? `${index + 1} ` : ''));
    }
    // A peer that hangs up after its last word is heard a moment later.
    if (script.outcome.includes('session over')) await until(() => !session.usable);
    told.push(session.usable ? 'session usable' : 'session over');
    await session.quit();
  }
  return { told, facts: [...facts, ...noted.map((trait) => `noted: ${trait}`)] };
}

async function handOver(session: SmtpSession, script: DialogScript): Promise<TransactionResult[]> {
  if (script.handOver === 'nothing') return [];
  const results: Promise<TransactionResult>[] = [];
  for (const { envelope, content } of script.messages) {
    await session.ready();
    const result = session.transact(envelope, content);
    results.push(result);
    if (script.handOver === 'one by one') await result;
  }
  return Promise.all(results);
}

function* openingFacts(opening: OpenOutcome): Generator<string> {
  if (opening.tlsResult !== undefined) yield `tls result: ${opening.tlsResult}`;
  if (opening.kind === 'failed') return;
  const { tls, extensions } = opening.session;
  yield tls === undefined ? 'tls: none' : `tls: ${tls.protocol}, ${tls.verified ? 'verified' : 'unverified'}`;
  const limit = extensions.sizeLimitBytes;
  const offers = [...extensions.keywords].map((keyword) =>
    keyword === 'SIZE' && limit !== undefined ? `SIZE ${limit}` : keyword,
  );
  yield `offers: ${offers.join(', ') || 'nothing'}`;
}

function tellResult(
  result: TransactionResult,
  message: ScriptedMessage | undefined,
  number: string,
): string[] {
  if (result.kind === 'unattempted') return [`${number}unattempted`];
  return result.outcomes.map(({ kind, stage, reply }, index) => {
    const address = message?.envelope.recipients[index]?.address ?? '(nobody)';
    return `${number}<${address}> ${kind} at ${stage}: ${tell(reply)}`;
  });
}

/** The lines of a reply are parted by ` / `, and control characters stand as `\x00`. */
function tell(reply: Reply): string {
  const printable = reply.text
    .replaceAll('\n', ' / ')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is made visible.
    .replace(/[\x00-\x1f\x7f]/g, (octet) => `\\x${octet.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return formatReply({ ...reply, text: printable });
}

/** `...` at the end of an expected line stands for whatever follows. */
function withWildcards(expected: readonly string[], told: readonly string[]): string[] {
  return expected.map((line, index) => {
    const actual = told[index] ?? '';
    return line.endsWith('...') && actual.startsWith(line.slice(0, -3)) ? actual : line;
  });
}

/** What the peer kept is, message by message and in order, what was handed over, with the last CRLF added. */
function assertContents(script: DialogScript, peer: ScriptedPeer): void {
  let next = 0;
  for (const [index, kept] of peer.contents.entries()) {
    let found = false;
    while (!found && next < script.messages.length) {
      const octets = script.messages[next++]?.octets;
      found = octets !== undefined && kept.equals(ended(octets));
    }
    assert.ok(found, `content ${index + 1} that the peer took, of ${kept.length} octets, is no message's`);
  }
}

/** RFC 5321 §4.1.1.4: the final dot stands on a line of its own. */
function ended(whole: Buffer): Buffer {
  if (whole.length === 0 || whole.subarray(-2).toString('latin1') === '\r\n') return whole;
  return Buffer.concat([whole, Buffer.from(whole.at(-1) === 0x0d ? '\n' : '\r\n')]);
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + STUCK_MS;
  while (!isTrue() && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
}

function inTime<T>(part: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('the script was not played to its end')), STUCK_MS);
  return Promise.race([part, promise]).finally(() => clearTimeout(timer));
}
