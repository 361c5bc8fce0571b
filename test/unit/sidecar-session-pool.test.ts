import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createSessionPool,
  type PooledSession,
  type SiteLimits,
} from '../../sidecar/attempt/session-pool.ts';
import type { Clock } from '../../sidecar/clock.ts';

const LIMITS: SiteLimits = {
  sessionsInAll: 2,
  sessions: 20,
  deliveriesPerSession: Infinity,
  recipientsPerSession: Infinity,
  idleMs: 60_000,
};

interface Session extends PooledSession {
  usable: boolean;
}

/** A pool, the names of the sessions that were ended, and a clock that `pass` moves. */
function poolFor(): {
  readonly pool: ReturnType<typeof createSessionPool<Session>>;
  readonly ended: readonly string[];
  session(name: string): Session;
  pass(ms: number): void;
} {
  const ended: string[] = [];
  const waits = new Map<() => void, number>();
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    after(delayMs, wake) {
      const wait = (): void => wake();
      waits.set(wait, nowMs + delayMs);
      return () => waits.delete(wait);
    },
  };
  return {
    pool: createSessionPool<Session>(clock),
    ended,
    session: (name) => {
      const session: Session = {
        usable: true,
        async quit() {
          session.usable = false;
          ended.push(name);
        },
      };
      return session;
    },
    pass(ms) {
      nowMs += ms;
      for (const [wake, atMs] of [...waits]) if (atMs <= nowMs && waits.delete(wake)) wake();
    },
  };
}

test('the session used last carries the next message to its site, until it has carried as much as it may', () => {
  const { pool, session, ended } = poolFor();
  const limits = { ...LIMITS, deliveriesPerSession: 3, recipientsPerSession: 10 };
  const [first, second] = [pool.take('a', limits), pool.take('a', limits)];
  assert.equal(first?.session, undefined, 'there is none yet');
  first?.giveBack(session('one'), 1);
  const two = session('two');
  second?.giveBack(two, 4);
  const again = pool.take('a', limits);
  assert.equal(again?.session, two);
  again?.giveBack(two, 6);
  assert.deepEqual(ended, ['two'], 'ten recipients');
  for (const message of [2, 3]) {
    const lease = pool.take('a', limits);
    assert.notEqual(lease?.session, undefined, `message ${message}`);
    lease?.giveBack(lease.session, 1);
  }
  assert.deepEqual(ended, ['two', 'one'], 'three messages');
  assert.equal(pool.take('a', limits)?.session, undefined);
});

test('a session waits for Idle_Timeout, and one that its peer has ended carries nothing', () => {
  const { pool, session, ended, pass } = poolFor();
  pool.take('a', LIMITS)?.giveBack(session('idle'), 1);
  pass(59_999);
  assert.deepEqual(ended, []);
  pass(1);
  assert.deepEqual(ended, ['idle']);
  pool.take('a', { ...LIMITS, idleMs: 0 })?.giveBack(session('unwanted'), 1);
  const gone = session('gone');
  pool.take('a', LIMITS)?.giveBack(gone, 1);
  gone.usable = false;
  assert.equal(pool.take('a', LIMITS)?.session, undefined);
  assert.deepEqual(ended, ['idle', 'unwanted', 'gone']);
});

test('a site that has all its sessions in use gets no other, and one that was given back makes room', () => {
  const { pool, session, ended } = poolFor();
  const limits = { ...LIMITS, sessions: 1 };
  const lease = pool.take('a', limits);
  pool.take('b', limits)?.giveBack(session('b waits'), 1);
  assert.equal(pool.take('a', limits), undefined);
  assert.deepEqual(ended, [], 'the session of another site is not ended for it');
  lease?.giveBack(undefined, 0);
  assert.notEqual(pool.take('a', limits), undefined);
});

test('a session that waits makes room for another site, whatever other sites have in use', () => {
  const { pool, session, ended } = poolFor();
  const a = session('a');
  pool.take('a', LIMITS)?.giveBack(a, 1);
  const inUse = pool.take('a', LIMITS);
  pool.take('b', LIMITS)?.giveBack(session('b'), 1);
  const c = pool.take('c', LIMITS);
  assert.notEqual(c, undefined);
  assert.deepEqual(ended, ['b']);
  assert.equal(pool.take('d', LIMITS), undefined, 'both are in use');
  a.usable = false;
  inUse?.giveBack(a, 1);
  c?.giveBack(session('c'), 1);
  pool.take('d', LIMITS)?.giveBack(session('d'), 1);
  assert.notEqual(pool.take('e', LIMITS), undefined, 'after a site that nobody speaks to any more');
  assert.deepEqual(ended, ['b', 'a', 'c']);
});

test('where fewer sessions may be open than wait, all that are too many make room', () => {
  const { pool, session, ended } = poolFor();
  const leases = [1, 2, 3].map(() => pool.take('a', { ...LIMITS, sessionsInAll: 3 }));
  for (const [at, lease] of leases.entries()) lease?.giveBack(session(`a${at}`), 1);
  assert.notEqual(pool.take('b', LIMITS), undefined);
  assert.deepEqual(ended, ['a0', 'a1']);
});

test('a site that could not be reached is left alone for a minute', () => {
  const { pool, pass } = poolFor();
  const failure = {
    kind: 'failed',
    stage: 'connect',
    reply: { code: 421, text: 'refused' },
    hop: undefined,
  } as const;
  pool.failed('a', failure);
  assert.equal(pool.failureOf('a'), failure);
  assert.equal(pool.failureOf('b'), undefined);
  pass(60_000);
  assert.equal(pool.failureOf('a'), undefined);
});

test('a pool that closes ends what waits, and what is given back afterwards', async () => {
  const { pool, session, ended } = poolFor();
  const lease = pool.take('a', LIMITS);
  pool.take('b', LIMITS)?.giveBack(session('waits'), 1);
  await pool.close();
  assert.deepEqual(ended, ['waits']);
  lease?.giveBack(session('in use'), 1);
  assert.deepEqual(ended, ['waits', 'in use']);
});
