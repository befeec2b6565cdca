// The OFREP provider: every evaluation is an HTTP request. It has no stream, so a change shows in the next answer.

import { ErrorCode } from '@openfeature/server-sdk';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeEnrichment, describeEvaluation, describeSelectors, flagSets } from './common.js';
import { evaluate, eventually, expectEvaluation, openSession } from './harness.js';

const MODE = 'ofrep';
// This client refuses an answer without a value, which the protocol has for both cases; the application gets
// its code default all the same.
const REFUSED = { reason: 'ERROR', errorCode: ErrorCode.GENERAL };

const becomes = (client, key, value) =>
  eventually(`${key} to become ${value}`, async () => (await evaluate(client, key, 'x')).value === value);

describe(MODE, () => {
  describe('evaluation', () => {
    describeEvaluation(MODE, { unset: { disabled: REFUSED, codeDefault: REFUSED } });

    test('an array is a value here', async (t) => {
      const list = [1, 'two', { three: [3] }];
      const listed = { state: 'ENABLED', variants: { list, none: [] }, defaultVariant: 'list' };
      const { client } = await openSession(t, MODE, { documents: { 'flags.json': { flags: { listed } } } });
      await expectEvaluation(client, ['listed', []], { value: list, variant: 'list', reason: 'STATIC' });
    });

    test('a key is percent-decoded', async (t) => {
      const { client } = await openSession(t, MODE);
      await expectEvaluation(client, ['label with ünusual.name', 'x'], { value: 'found', reason: 'STATIC' });
    });
  });

  describe('changes', () => {
    test('an edit shows in the answers', async (t) => {
      const { sidecar, client } = await openSession(t, MODE);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' });
      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      await becomes(client, 'shipping-cost', 'after');
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', variant: 'after', reason: 'STATIC' });
      await expectEvaluation(client, ['shipping-days', 'x'], { value: 'before', variant: 'before', reason: 'STATIC' });
    });
  });

  describe('reconnect', () => {
    test('after SIGKILL and a restart on the same ports new values arrive', async (t) => {
      const { sidecar, client } = await openSession(t, MODE);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' });
      assert.equal(await sidecar.end('SIGKILL'), 'SIGKILL');
      await expectEvaluation(client, ['shipping-cost', 'mine'], { value: 'mine', errorCode: ErrorCode.GENERAL });

      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      await sidecar.launch();
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', variant: 'after', reason: 'STATIC' });
    });
  });

  describe('enrichment', () => {
    describeEnrichment(MODE);

    const fromHeader = ['--context-from-header', 'x-region=region'];

    test('a mapped header reaches the rules and wins over the application and the static value', async (t) => {
      const { client } = await openSession(t, MODE, {
        extraArguments: [...fromHeader, '--context-value', 'region=us'],
        options: { headers: [['X-Region', 'eu']] },
      });
      await expectEvaluation(client, ['served-region', 'x', { region: 'us' }], { value: 'eu', reason: 'TARGETING_MATCH' });
    });

    test('an absent header leaves the application in charge', async (t) => {
      const { client } = await openSession(t, MODE, { extraArguments: fromHeader });
      await expectEvaluation(client, ['served-region', 'x', { region: 'us' }], { value: 'us', reason: 'TARGETING_MATCH' });
    });
  });

  describe('selectors', () => {
    const selecting = (selector) => ({ headers: [['Flagd-Selector', selector]] });
    describeSelectors(MODE, selecting);

    test('a selector by an unknown property is refused', async (t) => {
      const { client } = await openSession(t, MODE, { documents: flagSets(), options: selecting('colour=blue') });
      await expectEvaluation(client, ['shared', 'mine'], { value: 'mine', errorCode: ErrorCode.GENERAL });
    });
  });
});
