// What the plugin for Haraka does with each answer of the other side; test/interop/haraka.test.ts runs it in a Haraka.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { closedPort, receiverFor } from './sidecar-fixture.ts';
import {
  type Answer,
  accept,
  cut,
  duplicate,
  hang,
  kept,
  status,
  verdicts,
  withdrawn,
} from './sidecar-receiver.ts';

/** What Haraka gives a plugin, as far as this one uses it, and what it exports. */
interface Plugin {
  readonly timeout: number;
  readonly config: { get(name: string, changed?: () => void): unknown };
  register_hook(hook: string, method: string): void;
  register(): void;
  hand_over(next: (code?: number) => void, item: unknown): void;
}

const OK = 906;
Object.assign(globalThis, { OK });
const exported: Pick<Plugin, 'register' | 'hand_over'> = createRequire(import.meta.url)(
  '../../packaging/haraka/index.js',
);

function queuedItem(content?: string) {
  const address = (text: string) => ({ format: () => `<${text}>` });
  const reply = {
    dsn_smtp_code: 451,
    dsn_smtp_response: 'Greylisted',
    dsn_status: '4.7.1',
    dsn_remote_mta: 'mx.example.net',
  };
  return {
    filename: 'queued',
    num_failures: 2,
    todo: {
      uuid: 'F8C0C6A2.1',
      queue_time: Date.parse('2026-11-23T10:00:00Z'),
      mail_from: address(''),
      rcpt_to: [{ ...address('a@example.net'), ...reply }],
    },
    data_stream: () =>
      Readable.from(
        (content ?? 'a: b\r\n\r\n..x\r\n.').match(/.{1,3}/gs)?.map((each) => Buffer.from(each)) ?? [],
      ),
  };
}

/** `removed`, or `kept`: what becomes of the queued mail; with the lines of the log. */
async function defer(
  port: number,
  options: { readonly timeoutSeconds?: number; readonly content?: string } = {},
) {
  const log: string[] = [];
  const hooks: string[] = [];
  const say = (text: string) => void log.push(text);
  const main = {
    url: `http://127.0.0.1:${port}/delay_message`,
    timeout: options.timeoutSeconds ?? 10,
    user: 'mx1',
    password: 'secret',
    max_bytes: 1000,
  };
  const plugin: Plugin = {
    timeout: 30,
    config: { get: (name) => (name === 'me' ? 'mx1.example.com' : { main }) },
    register_hook: (hook, method) => void hooks.push(`${hook} ${method}`),
    ...Object.fromEntries(['loginfo', 'lognotice', 'logwarn', 'logerror'].map((level) => [level, say])),
    ...exported,
  };
  plugin.register();
  assert.deepEqual(hooks, ['deferred hand_over']);
  const item = queuedItem(options.content);
  const code = await new Promise<number | undefined>((next) => plugin.hand_over(next, item));
  assert.ok(code === OK || code === undefined);
  return { end: code === OK ? 'removed' : 'kept', log: log.join('\n') };
}

async function answered(t: TestContext, post: Answer, remove?: Answer) {
  const receiver = await receiverFor(t);
  receiver.script('POST', [], post);
  if (remove !== undefined) receiver.script('DELETE', [], remove);
  const { end, log } = await defer(receiver.port, { timeoutSeconds: post === hang ? 2 : 10 });
  return {
    end,
    log,
    withdrawals: receiver.requests.filter(({ method }) => method === 'DELETE').length,
    receiver,
  };
}

test('what is accepted leaves the queue, with its envelope and its octets', async (t) => {
  const { end, receiver } = await answered(t, accept);
  assert.equal(end, 'removed');
  const [request] = receiver.requests;
  assert.equal(request?.headers['authorization'], `Basic ${Buffer.from('mx1:secret').toString('base64')}`);
  assert.equal(request?.headers['x-xfer-patience-ms'], '10000');
  const [frame] = request?.frames ?? [];
  assert.equal(frame?.content.toString(), 'a: b\r\n\r\n.x\r\n');
  const { id, sha256, ...fields } = frame?.header ?? {};
  assert.match(String(id), /^[A-Za-z0-9_-]{43}$/);
  assert.equal(String(sha256).length, 64);
  assert.deepEqual(fields, {
    sender: '',
    recipients: ['a@example.net'],
    sizeBytes: 12,
    receivedAt: '2026-11-23T10:00:00.000Z',
    receivedFrom: 'mx1.example.com',
    attempts: 2,
    lastReply: { code: 451, enhanced: '4.7.1', text: 'Greylisted', host: 'mx.example.net' },
  });
  const again = await answered(t, duplicate);
  assert.equal(again.end, 'removed');
  assert.deepEqual(again.receiver.requests[0]?.ids, [id]);
});

test('what was surely not taken stays in the queue, and nothing is withdrawn', async (t) => {
  const refuse = verdicts(
    ({ ids }) =>
      ids.map((id) => ({ id, status: 'refused', reply: { code: 554, enhanced: '5.6.0', text: 'bare CR' } })),
    422,
  );
  for (const post of [refuse, status(401), status(404), status(413), status(429)]) {
    const { end, withdrawals } = await answered(t, post);
    assert.deepEqual([end, withdrawals], ['kept', 0]);
  }
  assert.equal((await defer(await closedPort())).end, 'kept');
  const receiver = await receiverFor(t);
  const large = await defer(receiver.port, { content: 'x'.repeat(1001) });
  assert.match(large.log, /kept: 1001 octets, max_bytes is 1000/);
  assert.equal(receiver.requests.length, 0);
});

test('what may have been taken is withdrawn, and leaves the queue only when the other side has begun with it', async (t) => {
  const unknown = verdicts(() => []);
  for (const post of [cut, status(500), status(503), unknown, hang]) {
    const back = await answered(t, post, withdrawn);
    assert.deepEqual([back.end, back.withdrawals], ['kept', 1], back.log);
  }
  const begun = await answered(t, cut, kept);
  assert.deepEqual([begun.end, begun.withdrawals], ['removed', 1], begun.log);
  const unanswered = await answered(t, cut, status(500));
  assert.equal(unanswered.end, 'kept');
  assert.match(unanswered.log, /not withdrawn: HTTP 500/);
});

/** The plugin with a file that can be saved anew, and what it logged. */
function pluginWith(first: Readonly<Record<string, unknown>>) {
  const log: string[] = [];
  let main = first;
  let changed = (): void => undefined;
  const say = (level: string) => (text: string) => void log.push(`${level}: ${text}`);
  const plugin: Plugin = {
    timeout: 30,
    config: {
      get: (name, then) => {
        if (then !== undefined) changed = then;
        return name === 'me' ? 'mx1.example.com' : { main };
      },
    },
    register_hook: () => undefined,
    ...Object.fromEntries(
      ['loginfo', 'lognotice', 'logwarn', 'logerror'].map((level) => [level, say(level)]),
    ),
    ...exported,
  };
  plugin.register();
  return {
    log,
    save(next: Readonly<Record<string, unknown>>) {
      main = next;
      changed();
    },
    handOver: () => new Promise<number | undefined>((next) => plugin.hand_over(next, queuedItem())),
  };
}

test('a typing error in the saved file leaves the mail server and the settings from before in force', async (t) => {
  const receiver = await receiverFor(t);
  const url = `http://127.0.0.1:${receiver.port}/delay_message`;
  const plugin = pluginWith({ url });
  const faults: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
    [
      { url: '127.0.0.1:8081/delay message' },
      'url = "127.0.0.1:8081/delay message" is no http or https URL; write it as url = http://127.0.0.1:8081/delay_message',
    ],
    [
      { url: 'localhost:8081/delay_message' },
      'url = "localhost:8081/delay_message" is no http or https URL; write it as url = http://127.0.0.1:8081/delay_message',
    ],
    [{ url, timeout: '20s' }, 'timeout = "20s" is no plain number of seconds; write timeout = 20'],
    [{ url, timeout: '' }, 'timeout = "" is no plain number of seconds; write timeout = 20'],
    [{ url, timeout: -1 }, 'timeout = -1 are too few seconds; write 2 or more, such as timeout = 20'],
    [{ url, max_bytes: '50M' }, 'max_bytes = "50M" is no plain number of octets; write max_bytes = 52428800'],
    [{ url, max_bytes: 0 }, 'max_bytes = 0 is no number of octets; write max_bytes = 52428800'],
    [{ url, user: 'a:b', password: 'c' }, 'user = "a:b" has a colon; HTTP Basic allows none'],
    [{ url, password: 'c' }, 'password stands without user; write user = NAME above it'],
  ];
  for (const [main] of faults) plugin.save(main);
  assert.deepEqual(
    plugin.log,
    faults.map(([, text]) => `logerror: delay-xfer.ini: ${text}; the settings from before stay in force`),
  );
  assert.equal(await plugin.handOver(), OK);
  assert.equal(receiver.requests.length, 1);
});

test('a Haraka that starts with a fault in the file keeps its deferred mail, and says so, until it is mended', async (t) => {
  const receiver = await receiverFor(t);
  const plugin = pluginWith({ url: 'nowhere' });
  assert.equal(await plugin.handOver(), undefined);
  assert.deepEqual(plugin.log, [
    'logerror: delay-xfer.ini: url = "nowhere" is no http or https URL; write it as url = http://127.0.0.1:8081/delay_message; nothing is handed over until this is mended, deferred mail stays with Haraka',
    'logerror: queued: kept: delay-xfer.ini has a fault, told when it was read',
  ]);
  plugin.save({ url: `http://127.0.0.1:${receiver.port}/delay_message`, timeuot: 20 });
  assert.equal(
    plugin.log.at(-1),
    'logwarn: delay-xfer.ini: timeuot is not a setting; there are url, user, password, timeout, max_bytes',
  );
  assert.equal(await plugin.handOver(), OK);
});
