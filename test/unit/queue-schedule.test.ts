import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstTimes, nextDueMs } from '../../shared/queue/schedule.ts';
import { DEFAULT_TEMPO, scaleTempo, withRetrySettings } from '../../shared/queue/tempo.ts';

const MIDDLE = 0.5;
const NOW = Date.UTC(2026, 10, 22, 10, 0, 0);
const DAY = 86_400_000;

test('a message deferred again and again is retried after 5, 10, 20, 40, 80, 160, 240, 240 minutes', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => {
    const due = nextDueMs(attempt, NOW + 5 * DAY, NOW, MIDDLE, DEFAULT_TEMPO);
    return due === undefined ? undefined : (due - NOW) / 60_000;
  });
  assert.deepEqual(waits, [5, 10, 20, 40, 80, 160, 240, 240]);
});

test('a retry is early or late by at most a tenth', () => {
  const due = (random: number) => (nextDueMs(1, NOW + 5 * DAY, NOW, random, DEFAULT_TEMPO) ?? 0) - NOW;
  assert.deepEqual([due(0), due(0.25), due(0.75), due(0.999999)], [270_000, 285_000, 315_000, 330_000]);
});

test('the last retry is at expiry itself, and after it there is none', () => {
  const expiresAtMs = NOW + 120_000;
  assert.equal(nextDueMs(3, expiresAtMs, NOW, MIDDLE, DEFAULT_TEMPO), expiresAtMs);
  assert.equal(nextDueMs(4, expiresAtMs, expiresAtMs, MIDDLE, DEFAULT_TEMPO), undefined);
  assert.equal(nextDueMs(4, expiresAtMs, expiresAtMs + 1, MIDDLE, DEFAULT_TEMPO), undefined);
});

test('a thousandth deferral still waits the longest interval', () => {
  assert.equal(nextDueMs(1_000, NOW + 9 * DAY, NOW, MIDDLE, DEFAULT_TEMPO), NOW + 14_400_000);
});

test('with Max_Retries = 2 the third deferral ends the message', () => {
  const tempo = withRetrySettings(DEFAULT_TEMPO, {
    retryIntervalSeconds: 60,
    maxRetryIntervalSeconds: 600,
    maxRetries: 2,
    messageExpirationSeconds: 3_600,
    neverRetry: false,
  });
  assert.equal(nextDueMs(1, NOW + DAY, NOW, MIDDLE, tempo), NOW + 60_000);
  assert.equal(nextDueMs(2, NOW + DAY, NOW, MIDDLE, tempo), NOW + 120_000);
  assert.equal(nextDueMs(3, NOW + DAY, NOW, MIDDLE, tempo), undefined);
});

test('with Never_Retry the first deferral ends the message, whatever Max_Retries says', () => {
  const tempo = withRetrySettings(DEFAULT_TEMPO, {
    retryIntervalSeconds: 60,
    maxRetryIntervalSeconds: 600,
    maxRetries: 2,
    messageExpirationSeconds: 3_600,
    neverRetry: true,
  });
  assert.equal(nextDueMs(1, NOW + DAY, NOW, MIDDLE, tempo), undefined);
});

test('a message that nobody has attempted yet is due now and expires after five days', () => {
  assert.deepEqual(firstTimes({ attempts: 0 }, NOW, MIDDLE, DEFAULT_TEMPO), {
    receivedAtMs: NOW,
    expiresAtMs: NOW + 5 * DAY,
    dueAtMs: NOW,
    attempts: 0,
  });
});

test('a message that its sender attempted is first due after 60 to 120 s, and backoff starts anew', () => {
  const at = (random: number) => firstTimes({ attempts: 3 }, NOW, random, DEFAULT_TEMPO);
  assert.equal(at(0).dueAtMs, NOW + 60_000);
  assert.equal(at(0.5).dueAtMs, NOW + 90_000);
  assert.equal(at(0.5).attempts, 0);
});

test('a due time that came along is kept, and with it the attempts that it stands for', () => {
  const times = firstTimes({ attempts: 4, dueAtMs: NOW + 777_000 }, NOW, MIDDLE, DEFAULT_TEMPO);
  assert.equal(times.dueAtMs, NOW + 777_000);
  assert.equal(times.attempts, 4);
});

test('expiry counts from when the sending side took the message, never more than ten days', () => {
  const times = (asked: object) => firstTimes({ attempts: 0, ...asked }, NOW, MIDDLE, DEFAULT_TEMPO);
  assert.equal(times({ receivedAtMs: NOW - DAY }).expiresAtMs, NOW + 4 * DAY);
  assert.equal(times({ receivedAtMs: NOW + DAY }).receivedAtMs, NOW);
  assert.equal(times({ receivedAtMs: NOW - 30 * DAY }).receivedAtMs, NOW - 10 * DAY);
  assert.equal(times({ expiresAtMs: NOW + 30 * DAY }).expiresAtMs, NOW + 10 * DAY);
  assert.equal(times({ expiresAtMs: NOW + 60_000, dueAtMs: NOW + DAY }).dueAtMs, NOW + 60_000);
});

test('at speed 60 the queue waits a sixtieth, and never under a second', () => {
  const fast = scaleTempo(DEFAULT_TEMPO, 60);
  assert.deepEqual(
    [fast.retryIntervalMs, fast.maxRetryIntervalMs, fast.firstWaitMinMs, fast.bucketMs, fast.postponeMs],
    [5_000, 240_000, 1_000, 1_000, 1_000],
  );
  assert.equal(scaleTempo(DEFAULT_TEMPO, 1_000).parkThresholdMs, 3_000);
  assert.throws(() => scaleTempo(DEFAULT_TEMPO, 0.5), RangeError);
});
