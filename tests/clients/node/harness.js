// A sidecar process of its own for a test file, the flag files it reads, and stock providers connected to it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const READY_WITHIN_MS = 20_000;
const EVENT_WITHIN_MS = 10_000;
const POLL_EVERY_MS = 20;
// Below Linux's range for outgoing connections, so that a port stays free while its server is down.
const PORTS = { first: 20_000, last: 32_000 };

// Both the providers and the sidecar read these, and a developer's shell may hold some.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('FLAGD_')) delete process.env[name];
}

/** The flag document that most tests use, as a fresh copy. */
export function flagDocument() {
  return JSON.parse(readFileSync(new URL('flags.json', import.meta.url), 'utf8'));
}

/** Waits until `condition` returns something truthy and returns that. */
export async function eventually(what, condition, withinMs = EVENT_WITHIN_MS) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    assert.ok(Date.now() < deadline, `still waiting after ${withinMs} ms: ${what}`);
    await pause(POLL_EVERY_MS);
  }
}

// A file that the runner ends early must not leave its sidecars behind.
const running = new Set();
process.on('exit', () => running.forEach((sidecar) => sidecar.discard()));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

async function isFree(port) {
  const server = createServer();
  server.listen(port);
  const [outcome] = await Promise.race([
    once(server, 'listening').then(() => ['listening']),
    new Promise((resolve) => server.once('error', (error) => resolve([error.code]))),
  ]);
  if (outcome !== 'listening') return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function freePorts(names) {
  const ports = {};
  for (const name of names) {
    do {
      ports[name] = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    } while (new Set(Object.values(ports)).size < Object.keys(ports).length || !(await isFree(ports[name])));
  }
  return ports;
}

export class Sidecar {
  /** The providers connected to this process. */
  providers = [];
  #process;
  #output = '';

  /**
   * Writes `documents` (file name → flag document, in order of priority) to a directory of its own and starts
   * a sidecar on them. In `extraArguments` the text `{directory}` stands for that directory.
   */
  static async start({ documents = { 'flags.json': flagDocument() }, extraArguments = [] } = {}) {
    assert.ok(process.env.OUTRIGGER_BIN, 'set OUTRIGGER_BIN to the sidecar binary under test');
    const sidecar = new Sidecar();
    sidecar.directory = mkdtempSync(join(tmpdir(), 'outrigger-node-'));
    sidecar.documents = documents;
    sidecar.ports = await freePorts(['evaluation', 'management', 'sync', 'ofrep']);
    sidecar.extraArguments = extraArguments.map((argument) => argument.replace('{directory}', sidecar.directory));
    for (const [name, document] of Object.entries(documents)) sidecar.write(name, document);
    running.add(sidecar);
    try {
      await sidecar.launch();
    } catch (error) {
      await sidecar.remove();
      throw error;
    }
    return sidecar;
  }

  path(name) {
    return join(this.directory, name);
  }

  /** Replaces a file in one step, as editors and deployment tools do. */
  write(name, document) {
    const next = this.path(`.${name}.next`);
    writeFileSync(next, JSON.stringify(document, null, 2));
    renameSync(next, this.path(name));
    this.documents[name] = document;
  }

  /** Lets `change` modify the flags of a file and replaces the file. */
  edit(change, name = 'flags.json') {
    const document = structuredClone(this.documents[name]);
    change(document.flags);
    this.write(name, document);
  }

  /** Starts the process; again on the same ports after `end`. */
  async launch() {
    const { evaluation, management, sync, ofrep } = this.ports;
    const files = Object.keys(this.documents).flatMap((name) => ['-f', `file:${this.path(name)}`]);
    const listeners = ['--port', evaluation, '--management-port', management, '--sync-port', sync, '--ofrep-port', ofrep];
    // Unlike flagd, a test listens on loopback alone.
    const command = ['start', '--bind', '127.0.0.1', ...files, ...listeners.map(String), ...this.extraArguments];
    this.#output = '';
    this.#process = spawn(process.env.OUTRIGGER_BIN, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on('data', (text) => (this.#output = (this.#output + text).slice(-8_000)));
    }
    await once(this.#process, 'spawn');
    await eventually('/readyz to answer 200', () => this.#isReady(), READY_WITHIN_MS);
  }

  async #isReady() {
    const { exitCode, signalCode } = this.#process;
    assert.ok(exitCode === null && signalCode === null, `the sidecar ended (${exitCode ?? signalCode}):\n${this.#output}`);
    try {
      return (await fetch(`http://localhost:${this.ports.management}/readyz`)).status === 200;
    } catch {
      return false; // not listening yet
    }
  }

  /** Ends the process with `signal` and returns how it ended: its exit code, or the signal's name. */
  async end(signal) {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    const [code, name] = await ended;
    return code ?? name;
  }

  /** Closes the providers, while they are connected (else they try to reconnect for ever), and ends the process. */
  async remove() {
    for (const provider of this.providers) await provider.onClose?.();
    await this.end('SIGKILL');
    this.discard();
  }

  /** Leaves nothing behind, without waiting. */
  discard() {
    running.delete(this);
    this.#process?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Keeps a client's provider events until a test asks for them. */
class Events {
  #waiting = new Map();

  constructor(client) {
    for (const type of Object.values(ProviderEvents)) {
      this.#waiting.set(type, []);
      client.addHandler(type, (details) => this.#waiting.get(type).push(details));
    }
  }

  /** The oldest event of this type that no test has taken yet, awaited if need be. */
  async next(type) {
    return eventually(`event ${type}`, () => this.#waiting.get(type).shift());
  }

  /** The keys that the next change event names, sorted. */
  async nextChange() {
    return [...(await this.next(ProviderEvents.ConfigurationChanged)).flagsChanged].sort();
  }
}

// A busy machine may need longer than the default 500 ms to connect, and a test need not wait 5 s to reconnect.
const TIMINGS = { deadlineMs: 10_000, retryBackoffMaxMs: 1_000 };

const PROVIDERS = {
  rpc: (sidecar, options) =>
    new FlagdProvider({ resolverType: 'rpc', port: sidecar.ports.evaluation, ...TIMINGS, ...options }),
  'in-process': (sidecar, options) =>
    new FlagdProvider({ resolverType: 'in-process', port: sidecar.ports.sync, ...TIMINGS, ...options }),
  ofrep: (sidecar, options) => new OFREPProvider({ baseUrl: `http://localhost:${sidecar.ports.ofrep}`, ...options }),
};

let lastDomain = 0;

/** A client of `sidecar` through the stock provider of this mode: `{ client, events }`. */
export async function connect(mode, sidecar, options = {}) {
  const domain = `domain-${++lastDomain}`;
  const provider = PROVIDERS[mode](sidecar, options);
  sidecar.providers.push(provider);
  await OpenFeature.setProviderAndWait(domain, provider);
  const client = OpenFeature.getClient(domain);
  const events = new Events(client);
  await events.next(ProviderEvents.Ready); // a handler added after the fact is told once
  return { client, events };
}

/** A sidecar with one client; `options` of the provider may be a function of the sidecar. */
export async function startSession(mode, { documents, extraArguments, options } = {}) {
  const sidecar = await Sidecar.start({ documents, extraArguments });
  try {
    return { sidecar, ...(await connect(mode, sidecar, typeof options === 'function' ? options(sidecar) : options)) };
  } catch (error) {
    await sidecar.remove();
    throw error;
  }
}

/** A session that ends with the test `t`. */
export async function openSession(t, mode, setup) {
  const session = await startSession(mode, setup);
  t.after(() => session.sidecar.remove());
  return session;
}

/** Evaluates a flag by the type of the caller's default value. */
export function evaluate(client, key, codeDefault, context) {
  const evaluators = {
    boolean: client.getBooleanDetails,
    string: client.getStringDetails,
    number: client.getNumberDetails,
    object: client.getObjectDetails,
  };
  return evaluators[typeof codeDefault].call(client, key, codeDefault, context);
}

/** Asserts the members of `expected`, `undefined` included, on an evaluation. */
export async function expectEvaluation(client, [key, codeDefault, context], expected) {
  const details = await evaluate(client, key, codeDefault, context);
  const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, details[name]]));
  assert.deepStrictEqual(seen, expected, `flag ${key}: ${JSON.stringify(details)}`);
  return details;
}
