import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withUpload } from '../../sidecar/intake/hand-in.ts';

function headerFor(recipients: number, sizeBytes: number): Parameters<typeof withUpload>[0] {
  return {
    id: 'id',
    envelope: {
      sender: 'b@example.com',
      recipients: Array.from({ length: recipients }, (_, index) => ({ address: `a${index}@example.net` })),
      smtputf8: false,
      requireTls: false,
      body: '7BIT',
    },
    sizeBytes,
    attempts: 1,
    upload: false,
    meta: {},
  };
}

for (const [recipients, sizeBytes, upload] of [
  [1, 4_194_304, true],
  [1, 4_194_305, true],
  [1, 4_193_304, false],
  [1_000, 4_193_304, true],
  [1_000, 4_100_000, false],
  [1_000, 3_000_000, false],
] as const) {
  test(`${sizeBytes} octets for ${recipients} recipients ${upload ? 'are uploaded' : 'go in the request'}`, () => {
    assert.equal(withUpload(headerFor(recipients, sizeBytes)).upload, upload);
  });
}
