// A reporter for `node --test` that writes one JSON list of the scenarios and how they ended.

import { readFileSync } from 'node:fs';

const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const FLAGD = `node ${dependencies['@openfeature/flagd-provider']}`;
const CLIENTS = { rpc: FLAGD, 'in-process': FLAGD, ofrep: `node ofrep ${dependencies['@openfeature/ofrep-provider']}` };

/** `path` is the mode, the group and the test's name; a file that does not load has only its own. */
function row(path, data, failed) {
  const [mode, ...names] = path.length > 1 ? path : ['load', ...path];
  const cause = data.details.error?.cause;
  return {
    suite: `e2e-node-${mode}`,
    client: CLIENTS[mode] ?? FLAGD,
    scenario: names.join(': '),
    status: data.skip !== undefined ? 'skipped' : failed ? 'failed' : 'passed',
    reason: data.skip !== undefined ? String(data.skip) : failed ? String(cause?.message ?? cause) : '',
  };
}

export default async function* report(source) {
  const rows = [];
  let path = []; // of the test that is being run; node tells of starts in order
  for await (const { type, data } of source) {
    if (type === 'test:start') path = [...path.slice(0, data.nesting), data.name];
    const ended = type === 'test:pass' || type === 'test:fail';
    if (ended && data.details.type !== 'suite') rows.push(row(path, data, type === 'test:fail'));
  }
  yield `${JSON.stringify(rows, null, 2)}\n`;
}
