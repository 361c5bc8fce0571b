// Every kind of fault that a configuration can have, and the exact words in which its operator hears of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { caseFiles, readCases, reportOf } from './fault-cases.ts';

for (const name of caseFiles()) {
  for (const faultCase of readCases(name)) {
    test(`${name.replace('.cases', '')}: ${faultCase.title}`, () => {
      assert.notEqual(faultCase.told, '\n', 'a case says what is told');
      assert.equal(reportOf(faultCase), faultCase.told);
    });
  }
}

test('there are at least seventy-five cases, and no title stands twice', () => {
  const titles = caseFiles().flatMap((name) => readCases(name).map(({ title }) => `${name} ${title}`));
  assert.ok(titles.length >= 75, String(titles.length));
  assert.equal(new Set(titles).size, titles.length);
});
