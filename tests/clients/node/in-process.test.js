// The flagd provider in its in-process mode: it takes whole flag sets from flagd.sync.v1 and evaluates on its own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  describeChanges,
  describeEnrichment,
  describeEvaluation,
  describeReconnect,
  describeSelectors,
  flagSets,
} from './common.js';
import { expectEvaluation, openSession } from './harness.js';

const MODE = 'in-process';

describe(MODE, () => {
  describe('evaluation', () =>
    describeEvaluation(MODE, {
      unset: {
        disabled: { reason: 'DISABLED', errorCode: undefined },
        codeDefault: { reason: 'DEFAULT', errorCode: undefined },
      },
    }));

  describe('changes', () => describeChanges(MODE));

  describe('reconnect', () =>
    describeReconnect(MODE, (client) =>
      expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' }),
    ));

  describe('enrichment', () => describeEnrichment(MODE));

  describe('selectors', () => {
    describeSelectors(
      MODE,
      (selector) => ({ selector }),
      (selector) => ({ scope: selector }),
    );

    test('a selected client hears only of its own set', async (t) => {
      const { sidecar, events } = await openSession(t, MODE, {
        documents: flagSets(),
        options: { selector: 'flagSetId=north' },
      });
      sidecar.edit((flags) => (flags['only-south'].variants.here = 'changed'), 'south.json');
      sidecar.edit((flags) => (flags['only-north'].variants.here = 'changed'), 'north.json');
      assert.deepEqual(await events.nextChange(), ['only-north']);
    });
  });

  describe('listeners', () => {
    test('a Unix socket serves the sync stream', async (t) => {
      const { sidecar, client, events } = await openSession(t, MODE, {
        extraArguments: ['--sync-socket-path', '{directory}/sync.sock'],
        options: (running) => ({ socketPath: running.path('sync.sock') }),
      });
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' });
      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      assert.deepEqual(await events.nextChange(), ['shipping-cost']);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', reason: 'STATIC' });
    });
  });
});
