import { setTimeout as pause } from 'node:timers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeadLetters, FlowClient, FlowModule, getObjectStoreToken, type ObjectStore } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp, type FlowApp } from '../support/flow-app.js';
import { TestStreams } from '../support/jetstream-client.js';
import { needsServer } from '../support/needs-server.js';
import { seededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';
import { COUNTERS, Relay, RelayCounts, type Baton } from './support/relay.flow.js';
import { WorkerCrew } from './support/worker-crew.js';

const RUNS = 5_000;
const STEPS = ['second', 'third', 'fourth'];
/** First release on which these tests pass; the README names it. */
const SURVIVES_SERVER_KILLS = '2.10';

describe('a flow whose processes are killed', () => {
  const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  let server: EmbeddedNatsServer;
  let streams: TestStreams;
  let client: FlowApp;

  beforeAll(async () => {
    console.log(`CHAOS_SEED=${seed}`);
    server = await EmbeddedNatsServer.start();
    streams = await TestStreams.connect(server);
    const objects = FlowModule.forFeature({ objects: [RelayCounts] });
    client = await startFlowApp(server.url, [], { consume: false, reconnectWait: '100ms' }, [objects]);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await streams[Symbol.asyncDispose]();
    await server.stop();
  });

  /** Starts runs until all are accepted; a start that a dead server did not answer is repeated under its id. */
  async function startRuns(prefix: string): Promise<void> {
    const flows = client.get(FlowClient);
    let next = 0;
    const starter = async (): Promise<void> => {
      for (let number = next++; number < RUNS; number = next++) {
        const input: Baton = { number, trail: [] };
        const options = { runId: `${prefix}${number}` };
        await until(() => flows.start(Relay, input, options), {
          what: `the start of run ${number}`,
          timeoutMs: 60_000,
        });
      }
    };
    await Promise.all(Array.from({ length: 50 }, starter));
  }

  /** `kill` at `times` random moments, while the runs pass. */
  function killAtRandom(times: number, longestPauseMs: number, kill: () => Promise<void>): Promise<void> {
    const one = (left: number): Promise<void> =>
      left === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => void pause(resolve, 100 + random() * longestPauseMs))
            .then(kill)
            .then(() => one(left - 1));
    return one(times);
  }

  async function unfinished(): Promise<number> {
    const consumers = ['start', 'step_first', ...STEPS.map((step) => `step_${step}`)];
    const left = await Promise.all(consumers.map((consumer) => streams.unfinished('FLOW_relay', consumer)));
    return left.reduce((sum, one) => sum + one, 0);
  }

  async function counted(): Promise<number> {
    const store = client.get<ObjectStore<RelayCounts>>(getObjectStoreToken(RelayCounts));
    const states = await Promise.all(Array.from({ length: COUNTERS }, (_, counter) => store.read({ counter })));
    return states.reduce((sum, state) => sum + (state?.passed ?? 0), 0);
  }

  /** What the stream ever took; 0 as long as there is none. */
  async function stored(): Promise<number> {
    const streamNames = await streams.manager.streams.names().next();
    if (!streamNames.includes('FLOW_relay')) return 0;
    return (await streams.manager.streams.info('FLOW_relay')).state.last_seq;
  }

  async function expectEverythingOnce(prefix: string): Promise<void> {
    await until(async () => (await unfinished()) === 0, {
      what: 'the end of all runs',
      timeoutMs: 180_000,
      intervalMs: 200,
    });
    for (const filter of ['start', ...STEPS.map((step) => `step.${step}`)]) {
      const subjects = await streams.subjects('FLOW_relay', `flow.relay.${filter}.>`);
      const ours = [...subjects.keys()].filter((subject) => subject.includes(`.${prefix}`));
      expect(ours.length, `messages of ${filter}`).toBe(RUNS);
    }
    const flows = client.get(FlowClient);
    for (let number = 0; number < RUNS; number += 1) {
      const run = flows.run(Relay, `${prefix}${number}`);
      expect(await run.result()).toEqual({ number, trail: ['first', 'second', 'third', 'fourth'] });
    }
    for await (const letter of client.get(DeadLetters).list()) expect.fail(`dead letter: ${letter.error.message}`);
  }

  /**
   * All runs to their end while `disturb` goes on. Nothing may be stored twice: what the stream takes is one message a
   * place, and the writes of the records.
   */
  async function expectAllOnce(prefix: string, disturb: (crew: WorkerCrew) => Promise<void>): Promise<void> {
    const before = { counted: await counted(), stored: await stored() };
    await using crew = await WorkerCrew.start(server.url, 2);
    await Promise.all([startRuns(prefix), disturb(crew)]);
    await expectEverythingOnce(prefix);
    expect((await counted()) - before.counted).toBe(RUNS);
    const places = RUNS * (1 + STEPS.length);
    const taken = (await stored()) - before.stored;
    expect(taken).toBeGreaterThanOrEqual(places + RUNS);
    expect(taken).toBeLessThanOrEqual(places + 2 * RUNS);
    expect(crew.accidents).toEqual([]);
  }

  it(`brings ${RUNS} runs to their end, each step once, through 20 kills of workers`, () =>
    expectAllOnce('worker-', (crew) => killAtRandom(20, 900, () => crew.killOne(random))));

  it(`brings ${RUNS} runs to their end, each step once, through kills of the server`, async (context) => {
    needsServer(context, server, SURVIVES_SERVER_KILLS, 'keeping consumers when the server is killed');
    await expectAllOnce('server-', () =>
      killAtRandom(3, 3_000, async () => {
        await server.kill();
        await server.restart();
      }),
    );
  });
});
