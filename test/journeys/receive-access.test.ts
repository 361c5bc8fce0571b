// Who may hand messages over, asked for at the socket: Basic against a credentials document, IAM by the API's
// authoriser, or everybody where that was configured.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { parseCredentials } from '../../shared/access/credentials.ts';
import { createPasswordVerifier, hashPassword } from '../../shared/access/password.ts';
import { inventory, NOTHING } from './inventory.ts';
import { arrived, frame, letter, message, postFrames, request } from './transfers.ts';
import { startWorld, type World } from './world.ts';

let document = '';
before(async () => {
  const [acme, other] = await Promise.all([hashPassword('se:cret'), hashPassword('hidden')]);
  document = JSON.stringify({ credentials: { acme, other } });
});

function startBasicWorld(): Promise<World> {
  const parsed = parseCredentials(document);
  assert.ok(parsed.ok);
  return startWorld({ authentication: { kind: 'basic', verifier: createPasswordVerifier(parsed.hashes) } });
}

const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

test('Basic credentials of the document let their sender in, under its name', async () => {
  await using world = await startBasicWorld();
  const { status } = await postFrames(
    world,
    [frame('mine', ['a@ok.test'], letter('mine'))],
    basic('acme:se:cret'),
  );
  assert.equal(status, 200);
  assert.equal(world.records[0]?.credential, 'acme');
  assert.equal((await world.items({ credential: 'acme', id: 'mine' })).length, 1);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('mine')]);
});

test('the same id from two credentials is two messages', async () => {
  await using world = await startBasicWorld();
  await postFrames(world, [frame('same', ['a@ok.test'], letter('one'))], basic('acme:se:cret'));
  const { body } = await postFrames(
    world,
    [frame('same', ['b@ok.test'], letter('two'))],
    basic('other:hidden'),
  );
  assert.deepEqual(body, { messages: [{ id: 'same', status: 'accepted' }] });
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('one')]);
  assert.deepEqual(arrived(world, 'b@ok.test'), [letter('two')]);
});

test('a sender cannot withdraw what another has sent', async () => {
  await using world = await startBasicWorld();
  const sent = frame('theirs', ['a@ok.test'], letter('theirs'), { attempts: 1 });
  await postFrames(world, [sent], basic('acme:se:cret'));
  const { status } = await request(world, '/delay_message/theirs', {
    method: 'DELETE',
    headers: basic('other:hidden'),
  });
  assert.equal(status, 200, "the other's id is barred, which says nothing about this one");
  const [item] = await world.items({ credential: 'acme', id: 'theirs' });
  assert.equal(item?.delivery?.state, 'open');
  world.clock.advance(130_000);
  await world.deliver();
  assert.deepEqual(arrived(world, 'a@ok.test'), [letter('theirs')]);
});

const REQUESTS = [
  ['a transfer', '/delay_message', 'POST', { 'content-type': 'application/json' }],
  ['a KumoMTA transfer', '/api/xfer/inject/v1', 'POST', {}],
  ['an upload', '/delay_message/uploads', 'POST', { 'content-type': 'application/json' }],
  ['a withdrawal', '/delay_message/some-id', 'DELETE', {}],
] as const;

for (const [what, path, method, headers] of REQUESTS) {
  for (const [whose, authorization] of [
    ['without credentials', {}],
    ['with a wrong password', basic('acme:wrong')],
    ['with an unknown name', basic('nobody:se:cret')],
    ['with a header that is none', { authorization: 'Basic' }],
  ] as const) {
    test(`${what} ${whose} is a 401, and nothing is stored or done`, async () => {
      await using world = await startBasicWorld();
      const answer = await request(world, path, {
        method,
        headers: { ...headers, ...authorization },
        ...(method === 'POST' ? { body: JSON.stringify(message('x', ['a@ok.test'])) } : {}),
      });
      assert.equal(answer.status, 401);
      assert.equal(answer.type, 'application/problem+json');
      assert.equal(Object(answer.body).code, 'unauthorized');
      assert.deepEqual(await inventory(world), NOTHING);
      assert.deepEqual(
        world.notices.map(({ level, code }) => [level, code]),
        [['warn', 'bad-credentials']],
      );
    });
  }
}

test('a 401 asks for Basic, and health needs no credentials', async () => {
  await using world = await startBasicWorld();
  const response = await fetch(`${world.baseUrl}/delay_message`, { method: 'POST', body: '{}' });
  assert.equal(response.headers.get('www-authenticate'), 'Basic realm="delay-xfer", charset="UTF-8"');
  await response.arrayBuffer();
  assert.equal((await request(world, '/health', {})).status, 200);
});

test('a caller that IAM has verified is let in under a stable name', async () => {
  const userArn = 'arn:aws:sts::123456789012:assumed-role/mta/i-0abc';
  await using world = await startWorld({
    authentication: { kind: 'iam' },
    caller: { accountId: '123456789012', userArn },
  });
  assert.equal((await world.post(message('signed', ['a@ok.test']))).status, 200);
  assert.equal(world.records[0]?.credential, 'iam-XSs3q90Gy9PTY6pbQKWHMd');
});

test('a caller whose ARN says nothing is a 401', async () => {
  await using world = await startWorld({
    authentication: { kind: 'iam' },
    caller: { accountId: '123456789012', userArn: 'anonymous' },
  });
  const { status, body } = await world.post(message('odd', ['a@ok.test']));
  assert.deepEqual([status, Object(body).code], [401, 'unauthorized']);
  assert.deepEqual(await inventory(world), NOTHING);
});

test('an unsigned request does not pass the API of IAM: 403, and the function is not asked', async () => {
  await using world = await startWorld({ authentication: { kind: 'iam' } });
  const { status } = await world.post(message('unsigned', ['a@ok.test']));
  assert.equal(status, 403);
  assert.deepEqual(world.notices, []);
  assert.deepEqual(await inventory(world), NOTHING);
});

test('where everybody may send, a wrong Authorization header does no harm', async () => {
  await using world = await startWorld();
  const { status } = await postFrames(
    world,
    [frame('open', ['a@ok.test'], letter('open'))],
    basic('acme:wrong'),
  );
  assert.equal(status, 200);
  assert.equal(world.records[0]?.credential, 'tester');
});
