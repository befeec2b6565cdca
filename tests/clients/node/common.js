// What an application sees of its flags through any stock provider; each mode's test file runs these.

import { ErrorCode, ProviderEvents } from '@openfeature/server-sdk';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, expectEvaluation, flagDocument, openSession, startSession } from './harness.js';

const CUSTOMER = { targetingKey: 'customer-7' };
const STAFF = { targetingKey: 'customer-7', email: 'kim@shop.example' };
const ADULT = { visitor: { age: 30, tags: ['guest', 'adult'] } };
const CHILD = { visitor: { age: 9, tags: ['guest', 'adult'] } };

// [what, flag key, code default, context, value, variant, reason]
const RESOLUTIONS = [
  ['a boolean', 'banner-shown', false, {}, true, 'on', 'STATIC'],
  ['a false boolean', 'banner-hidden', true, {}, false, 'off', 'STATIC'],
  ['a string beyond ASCII', 'greeting', 'x', {}, 'Grüß Gott, 世界 👋 <b>&</b>', 'long', 'STATIC'],
  ['an empty string', 'greeting-empty', 'x', {}, '', 'none', 'STATIC'],
  ['an integer', 'page-size', 1, {}, 25, 'small', 'STATIC'],
  ['a zero', 'page-offset', 1, {}, 0, 'start', 'STATIC'],
  ['a float', 'discount', 1, {}, 0.15, 'low', 'STATIC'],
  ['the largest safe integer', 'file-limit', 1, {}, Number.MAX_SAFE_INTEGER, 'largest', 'STATIC'],
  ['a flat object', 'palette', {}, {}, { base: 'amber', contrast: 4.5, rounded: true }, 'warm', 'STATIC'],
  ['a nested object', 'theme', {}, {}, flagDocument().flags.theme.variants.dark, 'dark', 'STATIC'],
  ['an empty object', 'theme-empty', { x: 1 }, {}, {}, 'plain', 'STATIC'],
  ['the default where no rule matches', 'plan', 'x', {}, 'free', 'free', 'DEFAULT'],
  ['a rule on the targeting key', 'plan', 'x', CUSTOMER, 'pro', 'pro', 'TARGETING_MATCH'],
  ['a shared rule', 'plan', 'x', STAFF, 'staff', 'staff', 'TARGETING_MATCH'],
  ['a rule that names the default variant', 'plan-always', 'x', {}, 'free', 'free', 'TARGETING_MATCH'],
  ['a rule on nested context that holds', 'age-gate', false, ADULT, true, 'true', 'TARGETING_MATCH'],
  ['a rule on nested context that does not hold', 'age-gate', true, CHILD, false, 'false', 'TARGETING_MATCH'],
  ['a rule on the flag key and the time', 'own-key', 'x', {}, 'same', 'same', 'TARGETING_MATCH'],
  ['a rule that decides a flag without a default', 'undecided-targeted', 'x', CUSTOMER, 'b', 'b', 'TARGETING_MATCH'],
];

// [what, flag key, code default, error code]
const ERRORS = [
  ['an unknown flag is not found', 'nobody-wrote-this', 'mine', ErrorCode.FLAG_NOT_FOUND],
  ['a string asked as a boolean is a type mismatch', 'greeting', true, ErrorCode.TYPE_MISMATCH],
  ['a boolean asked as a string is a type mismatch', 'banner-shown', 'mine', ErrorCode.TYPE_MISMATCH],
  ['a number asked as an object is a type mismatch', 'page-size', { mine: 1 }, ErrorCode.TYPE_MISMATCH],
  ['an object asked as a number is a type mismatch', 'theme', 7, ErrorCode.TYPE_MISMATCH],
  ['an unknown operator is a parse error', 'broken-rule', false, ErrorCode.PARSE_ERROR],
  ['a rule that names an unknown variant is a general error', 'lost-variant', false, ErrorCode.GENERAL],
];

/**
 * Registers the tests of values, reasons, variants, metadata and errors.
 * `unset` is what this client makes of an answer without a value: of a disabled flag and of a code default.
 */
export function describeEvaluation(mode, { options = {}, unset }) {
  let session;
  let client;
  before(async () => {
    session = await startSession(mode, { options });
    client = session.client;
  });
  after(() => session?.sidecar.remove());

  for (const [what, key, codeDefault, context, value, variant, reason] of RESOLUTIONS) {
    test(`resolves ${what}`, () =>
      expectEvaluation(client, [key, codeDefault, context], { value, variant, reason, errorCode: undefined }));
  }

  for (const [what, key, codeDefault, errorCode] of ERRORS) {
    test(what, () => expectEvaluation(client, [key, codeDefault], { value: codeDefault, reason: 'ERROR', errorCode }));
  }

  for (const codeDefault of [true, false]) {
    test(`a disabled flag leaves the code default ${codeDefault}`, () =>
      expectEvaluation(client, ['paused', codeDefault], { value: codeDefault, variant: undefined, ...unset.disabled }));
  }

  for (const key of ['undecided', 'undecided-targeted']) {
    test(`${key}, without a default variant, leaves the code default`, () =>
      expectEvaluation(client, [key, 'mine'], { value: 'mine', variant: undefined, ...unset.codeDefault }));
  }

  test("metadata is the flag set's, under the flag's own", async () => {
    const own = await expectEvaluation(client, ['banner-shown', false], { value: true });
    const inherited = await expectEvaluation(client, ['banner-hidden', true], { value: false });
    assert.deepEqual(own.flagMetadata, { flagSetId: 'shop', version: 'own', owner: 'web', priority: 3, reviewed: true });
    assert.deepEqual(inherited.flagMetadata, { flagSetId: 'shop', version: '2026-11' });
  });

  test('many evaluations at once get their own answers', async () => {
    const customers = Array.from({ length: 200 }, (_, index) => ({ targetingKey: `customer-${index}` }));
    await Promise.all(
      customers.map((context) =>
        expectEvaluation(client, ['plan', 'x', context], { value: context.targetingKey === 'customer-7' ? 'pro' : 'free' }),
      ),
    );
  });
}

const flag = (value) => ({ state: 'ENABLED', variants: { [value]: value }, defaultVariant: value });

/** Registers the tests of change events; for the modes whose providers have them. */
export function describeChanges(mode, options = {}) {
  test('an edit is announced by the keys it changed, and is visible then', async (t) => {
    const { sidecar, client, events } = await openSession(t, mode, { options });

    sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
    assert.deepEqual(await events.nextChange(), ['shipping-cost']);
    await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', variant: 'after', reason: 'STATIC' });

    sidecar.edit((flags) => {
      flags['shipping-cost'].variants.after = 'after all';
      flags['shipping-days'].targeting = { if: [true, 'after'] };
    });
    assert.deepEqual(await events.nextChange(), ['shipping-cost', 'shipping-days']);
    await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after all', reason: 'STATIC' });
    await expectEvaluation(client, ['shipping-days', 'x'], { value: 'after', reason: 'TARGETING_MATCH' });

    sidecar.edit((flags) => (flags['shipping-days'].state = 'DISABLED'));
    assert.deepEqual(await events.nextChange(), ['shipping-days']);
    await expectEvaluation(client, ['shipping-days', 'mine'], { value: 'mine', reason: 'DISABLED' });
  });

  test('added and removed flags are announced', async (t) => {
    const { sidecar, client, events } = await openSession(t, mode, { options });

    sidecar.edit((flags) => (flags['brand-new'] = flag('hello')));
    assert.deepEqual(await events.nextChange(), ['brand-new']);
    await expectEvaluation(client, ['brand-new', 'x'], { value: 'hello', reason: 'STATIC' });

    sidecar.edit((flags) => delete flags['brand-new']);
    assert.deepEqual(await events.nextChange(), ['brand-new']);
    await expectEvaluation(client, ['brand-new', 'mine'], { value: 'mine', errorCode: ErrorCode.FLAG_NOT_FOUND });
  });
}

/** Registers the tests of losing the sidecar and getting it back, for the providers that hold a stream. */
export function describeReconnect(mode, whileDown) {
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    test(`after ${signal} and a restart on the same ports new values arrive`, async (t) => {
      const { sidecar, client, events } = await openSession(t, mode);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'before', reason: 'STATIC' });

      const ending = sidecar.end(signal);
      await events.next(ProviderEvents.Stale);
      assert.equal(await ending, { SIGKILL: 'SIGKILL', SIGTERM: 0 }[signal]);
      await whileDown?.(client);

      sidecar.edit((flags) => (flags['shipping-cost'].defaultVariant = 'after'));
      await sidecar.launch();
      await events.next(ProviderEvents.Ready);
      await expectEvaluation(client, ['shipping-cost', 'x'], { value: 'after', variant: 'after', reason: 'STATIC' });

      sidecar.edit((flags) => (flags['shipping-days'].defaultVariant = 'after'));
      await eventually('a change after the restart', async () => (await events.nextChange()).includes('shipping-days'));
      await expectEvaluation(client, ['shipping-days', 'x'], { value: 'after', reason: 'STATIC' });
    });
  }
}

/** Registers the tests of the context that the sidecar itself adds to every evaluation. */
export function describeEnrichment(mode) {
  test('a static context value reaches the rules and wins over the application', async (t) => {
    const { client } = await openSession(t, mode, { extraArguments: ['--context-value', 'region=eu'] });
    await expectEvaluation(client, ['served-region', 'x'], { value: 'eu', reason: 'TARGETING_MATCH' });
    await expectEvaluation(client, ['served-region', 'x', { region: 'us' }], { value: 'eu', reason: 'TARGETING_MATCH' });
  });

  test('without static context values the application decides', async (t) => {
    const { client } = await openSession(t, mode);
    await expectEvaluation(client, ['served-region', 'x', { region: 'us' }], { value: 'us', reason: 'TARGETING_MATCH' });
    await expectEvaluation(client, ['served-region', 'x'], { value: 'unknown', reason: 'DEFAULT' });
  });
}

/** Two flag sets that share a key, and a file of its own for flags without a set. */
export function flagSets() {
  const set = (flagSetId, flags) => ({ ...(flagSetId && { metadata: { flagSetId } }), flags });
  return {
    'north.json': set('north', { shared: flag('north'), 'only-north': flag('here') }),
    'south.json': set('south', { shared: flag('south'), 'only-south': flag('here') }),
    'loose.json': set(undefined, { 'only-loose': flag('here') }),
  };
}

/**
 * Registers the tests of selectors. `selecting` turns a selector into this provider's options, `extra` gives
 * what this provider adds to the metadata of a selected flag.
 */
export function describeSelectors(mode, selecting, extra = () => ({})) {
  const selected = (selector) => (sidecar) => selecting(selector.replace('{directory}', sidecar.directory));

  for (const set of ['north', 'south']) {
    test(`flagSetId=${set} selects that set`, async (t) => {
      const selector = `flagSetId=${set}`;
      const { client } = await openSession(t, mode, { documents: flagSets(), options: selected(selector) });
      const { flagMetadata } = await expectEvaluation(client, ['shared', 'x'], { value: set, reason: 'STATIC' });
      assert.deepEqual(flagMetadata, { flagSetId: set, ...extra(selector) });
      await expectEvaluation(client, [`only-${set}`, 'x'], { value: 'here' });
      for (const key of [set === 'north' ? 'only-south' : 'only-north', 'only-loose']) {
        await expectEvaluation(client, [key, 'mine'], { value: 'mine', errorCode: ErrorCode.FLAG_NOT_FOUND });
      }
    });
  }

  test('an empty flagSetId selects the flags without a set', async (t) => {
    const { client } = await openSession(t, mode, { documents: flagSets(), options: selected('flagSetId=') });
    await expectEvaluation(client, ['only-loose', 'x'], { value: 'here' });
    await expectEvaluation(client, ['shared', 'mine'], { value: 'mine', errorCode: ErrorCode.FLAG_NOT_FOUND });
  });

  for (const form of ['source={directory}/north.json', '{directory}/north.json']) {
    test(`${form} selects that file`, async (t) => {
      const { client } = await openSession(t, mode, { documents: flagSets(), options: selected(form) });
      await expectEvaluation(client, ['shared', 'x'], { value: 'north' });
      await expectEvaluation(client, ['only-south', 'mine'], { value: 'mine', errorCode: ErrorCode.FLAG_NOT_FOUND });
    });
  }

  test('an unknown set selects nothing', async (t) => {
    const { client } = await openSession(t, mode, { documents: flagSets(), options: selected('flagSetId=east') });
    await expectEvaluation(client, ['shared', 'mine'], { value: 'mine', errorCode: ErrorCode.FLAG_NOT_FOUND });
  });

  test('without a selector every set is served and the last file wins', async (t) => {
    const { client } = await openSession(t, mode, { documents: flagSets() });
    await expectEvaluation(client, ['shared', 'x'], { value: 'south' });
    for (const key of ['only-north', 'only-south', 'only-loose']) {
      await expectEvaluation(client, [key, 'x'], { value: 'here' });
    }
  });
}
