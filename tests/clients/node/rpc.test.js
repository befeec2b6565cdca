// The flagd provider in its default mode: every evaluation is a gRPC call to flagd.evaluation.v2, and static
// answers are cached until the event stream names their key.

import { ErrorCode } from '@openfeature/server-sdk';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  describeChanges,
  describeEnrichment,
  describeEvaluation,
  describeReconnect,
  describeSelectors,
} from './common.js';
import { connect, expectEvaluation, openSession } from './harness.js';

const MODE = 'rpc';
const NO_CACHE = { cache: 'disabled' };
// Four attempts wait 1 s, 2 s and 4 s between them, give or take a fifth.
const RETRIED_AT_LEAST_MS = 5_600;

describe(MODE, () => {
  describe('evaluation', () => {
    describeEvaluation(MODE, {
      options: NO_CACHE,
      unset: {
        disabled: { reason: 'DISABLED', errorCode: undefined },
        codeDefault: { reason: 'DEFAULT', errorCode: undefined },
      },
    });

    test('a permanent error is not answered with a status that the provider retries', async (t) => {
      const { client } = await openSession(t, MODE, { options: { ...NO_CACHE, retryBackoffMaxMs: 5_000 } });
      const started = performance.now();
      await expectEvaluation(client, ['lost-variant', true], { value: true, errorCode: ErrorCode.GENERAL });
      const elapsed = performance.now() - started;
      assert.ok(elapsed < RETRIED_AT_LEAST_MS / 2, `${Math.round(elapsed)} ms: the provider tried again and again`);
    });
  });

  describe('changes', () => describeChanges(MODE));

  describe('cache', () => {
    test('a static answer is cached until a change names its key', async (t) => {
      const { sidecar, client, events } = await openSession(t, MODE);
      const first = await expectEvaluation(client, ['banner-shown', false], { value: true, reason: 'STATIC' });
      const second = await expectEvaluation(client, ['banner-shown', false], { value: true, reason: 'CACHED' });
      assert.deepEqual(second.flagMetadata, first.flagMetadata);
      assert.equal(second.variant, first.variant);

      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      assert.deepEqual(await events.nextChange(), ['shipping-cost']);
      await expectEvaluation(client, ['banner-shown', false], { value: true, reason: 'CACHED' });

      sidecar.edit((flags) => (flags['banner-shown'].defaultVariant = 'off'));
      assert.deepEqual(await events.nextChange(), ['banner-shown']);
      await expectEvaluation(client, ['banner-shown', true], { value: false, variant: 'off', reason: 'STATIC' });
      await expectEvaluation(client, ['banner-shown', true], { value: false, variant: 'off', reason: 'CACHED' });
    });

    test('a cached flag that disappears is not found any more', async (t) => {
      const { sidecar, client, events } = await openSession(t, MODE);
      await expectEvaluation(client, ['banner-shown', false], { reason: 'STATIC' });
      sidecar.edit((flags) => delete flags['banner-shown']);
      assert.deepEqual(await events.nextChange(), ['banner-shown']);
      await expectEvaluation(client, ['banner-shown', false], { value: false, errorCode: ErrorCode.FLAG_NOT_FOUND });
    });

    test('targeted, defaulted and disabled answers are never cached', async (t) => {
      const { client } = await openSession(t, MODE);
      for (let round = 0; round < 3; round++) {
        await expectEvaluation(client, ['plan-always', 'x'], { value: 'free', reason: 'TARGETING_MATCH' });
        await expectEvaluation(client, ['plan', 'x'], { value: 'free', reason: 'DEFAULT' });
        await expectEvaluation(client, ['undecided', 'mine'], { value: 'mine', reason: 'DEFAULT' });
        await expectEvaluation(client, ['paused', false], { value: false, reason: 'DISABLED' });
      }
    });

    test('with the cache off every answer is fresh', async (t) => {
      const { client } = await openSession(t, MODE, { options: NO_CACHE });
      await expectEvaluation(client, ['banner-shown', false], { reason: 'STATIC' });
      await expectEvaluation(client, ['banner-shown', false], { reason: 'STATIC' });
    });
  });

  describe('reconnect', () => describeReconnect(MODE));
  describe('enrichment', () => describeEnrichment(MODE));

  describe('selectors', () => describeSelectors(MODE, (selector) => ({ ...NO_CACHE, selector })));

  describe('listeners', () => {
    test('a Unix socket serves evaluations and changes', async (t) => {
      const { sidecar, client, events } = await openSession(t, MODE, {
        extraArguments: ['--socket-path', '{directory}/flags.sock'],
        options: (running) => ({ socketPath: running.path('flags.sock') }),
      });
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' });
      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      assert.deepEqual(await events.nextChange(), ['shipping-cost']);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', reason: 'STATIC' });
    });

    test('two clients both hear of a change', async (t) => {
      const { sidecar, client, events } = await openSession(t, MODE);
      const other = await connect(MODE, sidecar);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before' });
      await expectEvaluation(other.client, ['shipping-cost', 'x'], { value: 'before' });
      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      for (const each of [{ client, events }, other]) {
        assert.deepEqual(await each.events.nextChange(), ['shipping-cost']);
        await expectEvaluation(each.client, ['shipping-cost', 'x'], { value: 'after', reason: 'STATIC' });
      }
    });
  });
});
