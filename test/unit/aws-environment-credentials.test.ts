import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultProvider } from '../../shared/aws/environment-credentials.ts';

const NAMES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

test('a function signs with the credentials of its environment, and says which are missing', async (t) => {
  const before = NAMES.map((name) => [name, process.env[name]] as const);
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIA',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'token',
  });
  assert.deepEqual(await defaultProvider()(), {
    accessKeyId: 'AKIA',
    secretAccessKey: 'secret',
    sessionToken: 'token',
  });
  delete process.env['AWS_SESSION_TOKEN'];
  assert.deepEqual(await defaultProvider()(), { accessKeyId: 'AKIA', secretAccessKey: 'secret' });
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await assert.rejects(defaultProvider()(), /no AWS credentials in the environment/);
});
