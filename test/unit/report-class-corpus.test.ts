// The shipped rules, held against the replies in report-class-corpus.txt, whose classes a person judged.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isReplyClassName, REPLY_CLASSES } from '../../shared/report/class-names.ts';
import { createReplyClassifier } from '../../shared/report/class-of-reply.ts';
import { readReply } from '../../shared/smtp/parse-reply.ts';
import type { Reply } from '../../shared/smtp/reply.ts';

interface Judged {
  readonly line: number;
  readonly expected: string;
  readonly raw: string;
}

const corpus: readonly Judged[] = readFileSync(new URL('report-class-corpus.txt', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((text, index) => {
    if (text === '' || text.startsWith('#')) return [];
    const [, expected = '', raw = ''] = /^(\S+)\s+(.*)$/.exec(text) ?? [];
    return [{ line: index + 1, expected, raw }];
  });

function replyOf({ line, raw }: Judged): Reply {
  const reply = readReply(raw.replaceAll('\\n', '\n'));
  assert.ok(reply, `line ${line} is a reply`);
  return reply;
}

test('every reply that servers are known to say has the class that its meaning asks for', () => {
  const classOf = createReplyClassifier();
  const wrong = corpus
    .map((judged) => ({ ...judged, found: classOf(replyOf(judged)) }))
    .filter(({ expected, found }) => found !== expected)
    .map(({ line, expected, found, raw }) => `line ${line}: ${expected}, not ${found}: ${raw}`);
  assert.deepEqual(wrong, []);
});

test('the corpus has at least 300 replies, no two of one shape, in KumoMTA’s classes', () => {
  // Hosts, numbers and identifiers do not make another reply.
  const shapes = corpus.map(({ raw }) =>
    raw
      .toLowerCase()
      .replaceAll(/<[^>]*>|\S+@\S+/g, '@')
      .replaceAll(/https?:\S+/g, 'url')
      .replaceAll(/(?<=\s|^)\S*\d\S*/g, (word, at: number) =>
        at === 0 || /^\d\.\d/.test(word) ? word : '#',
      ),
  );
  const repeated = shapes.filter((shape, index) => shapes.indexOf(shape) !== index);
  assert.deepEqual(repeated, []);
  assert.ok(corpus.length >= 300, `${corpus.length} replies`);
  assert.deepEqual(
    corpus.filter(({ expected }) => !isReplyClassName(expected)).map(({ line }) => line),
    [],
  );
});

test('the corpus knows every class that a delivery attempt can come to', () => {
  // These four are of mail that comes back by itself, not of replies; two more are for what the others do not say.
  const others = ['AutoReply', 'Subscribe', 'Unsubscribe', 'RelayingIssues', 'SpamRelated'];
  const found = new Set(corpus.map(({ expected }) => expected));
  assert.deepEqual(
    REPLY_CLASSES.filter((name) => !found.has(name)),
    REPLY_CLASSES.filter((name) => others.includes(name)),
  );
});

test('classing a reply takes some microseconds', () => {
  const classOf = createReplyClassifier();
  const replies = corpus.map(replyOf);
  const rounds = Array.from({ length: 12 }, () => {
    const startedMs = performance.now();
    for (const reply of replies) classOf(reply);
    return ((performance.now() - startedMs) * 1_000) / replies.length;
  });
  // 16 µs on an idle core; the best round of a loaded machine is far below ten times that.
  assert.ok(Math.min(...rounds) < 160, `${Math.min(...rounds).toFixed(1)} µs at best`);
});

test('no reply of 512 octets takes long, whatever it repeats', () => {
  const classOf = createReplyClassifier();
  const words = [
    'a',
    ' ',
    '<',
    '@',
    '1.',
    'spf ',
    'over ',
    'mail ',
    'the ',
    'is ',
    'no such ',
    'message ',
    '<a@',
  ];
  const slow = [...words, ...corpus.slice(0, 40).map(({ raw }) => raw.slice(4, 12))].filter((word) => {
    const reply = { code: 550, text: word.repeat(512).slice(0, 512) };
    const times = Array.from({ length: 3 }, () => {
      const startedMs = performance.now();
      classOf(reply);
      return performance.now() - startedMs;
    });
    return Math.min(...times) > 50;
  });
  assert.deepEqual(slow, []);
});
