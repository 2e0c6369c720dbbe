import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeadLetters, FlowClient, FlowModule, getObjectStoreToken, type ObjectStore } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { readDeliveryInfo } from '../../lib/connection/delivery-info.js';
import { startFlowApp, type FlowApp } from '../support/flow-app.js';
import { TestStreams } from '../support/jetstream-client.js';
import { needsServer } from '../support/needs-server.js';
import { seededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';
import { PacedKills } from './support/paced-kills.js';
import { COUNTERS, Relay, RelayCounts, type Baton } from './support/relay.flow.js';
import { WorkerCrew } from './support/worker-crew.js';

const RUNS = 5_000;
const STEPS = ['second', 'third', 'fourth'];
/** First release on which these tests pass; the README names it. */
const SURVIVES_SERVER_KILLS = '2.10';

/** Does `work` with the number of each run, of 50 at one time. */
async function forAllRuns(work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < RUNS; number = next++) await work(number);
  };
  await Promise.all(Array.from({ length: 50 }, worker));
}

describe('a flow whose processes are killed', () => {
  const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  let server: EmbeddedNatsServer;
  let streams: TestStreams;
  let client: FlowApp;
  /** Asks again soon when a server that was just killed does not answer. */
  let manager: JetStreamManager;

  beforeAll(async () => {
    console.log(`CHAOS_SEED=${seed}`);
    server = await EmbeddedNatsServer.start();
    streams = await TestStreams.connect(server);
    manager = await jetstreamManager(streams.nats, { timeout: 1_000 });
    const objects = FlowModule.forFeature({ objects: [RelayCounts] });
    client = await startFlowApp(server.url, [], { consume: false, reconnectWait: '100ms' }, [objects]);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await streams[Symbol.asyncDispose]();
    await server.stop();
  });

  /** Starts runs as the kills let them in; a start that a dead server did not answer is repeated under its id. */
  async function startRuns(prefix: string, kills: PacedKills): Promise<void> {
    const flows = client.get(FlowClient);
    await forAllRuns((number) => {
      const input: Baton = { number, trail: [] };
      const options = { runId: `${prefix}${number}` };
      const start = (): Promise<unknown> =>
        until(() => flows.start(Relay, input, options), { what: `the start of run ${number}`, timeoutMs: 60_000 });
      return kills.admit(number, start);
    });
  }

  /** Runs have one message each that waits or is worked on, and for a moment two. */
  async function unfinished(): Promise<number> {
    const consumers = ['start', 'step_first', ...STEPS.map((step) => `step_${step}`)];
    const infos = await Promise.all(consumers.map((consumer) => manager.consumers.info('FLOW_relay', consumer)));
    return infos.reduce((sum, info) => sum + info.num_pending + info.num_ack_pending, 0);
  }

  /** How many runs each counter has counted. */
  async function counted(): Promise<number[]> {
    const store = client.get<ObjectStore<RelayCounts>>(getObjectStoreToken(RelayCounts));
    const states = await Promise.all(Array.from({ length: COUNTERS }, (_, counter) => store.read({ counter })));
    return states.map((state) => state?.passed ?? 0);
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
    await forAllRuns(async (number) => {
      const run = flows.run(Relay, `${prefix}${number}`);
      expect(await run.result()).toEqual({ number, trail: ['first', 'second', 'third', 'fourth'] });
    });
    for await (const letter of client.get(DeadLetters).list()) expect.fail(`dead letter: ${letter.error.message}`);
  }

  /** Counts the acknowledgements of messages that were delivered before, until disposed. */
  function countRedelivered(): { readonly messages: number } & Disposable {
    let messages = 0;
    const subscription = streams.nats.subscribe('$JS.ACK.>', {
      callback: (_error, { subject, data }) => {
        const isAck = new TextDecoder().decode(data) === '+ACK';
        if (isAck && readDeliveryInfo(subject).deliveries > 1) messages += 1;
      },
    });
    return {
      get messages() {
        return messages;
      },
      [Symbol.dispose]: () => subscription.unsubscribe(),
    };
  }

  /**
   * All runs to their end while `kills` go on. Nothing may be stored twice: what the stream takes is one message a
   * place, and the writes of the records. Resolves to how many messages were delivered again.
   */
  async function expectAllOnce(
    prefix: string,
    times: number,
    kill: (crew: WorkerCrew) => Promise<void>,
  ): Promise<number> {
    const before = { counted: await counted(), stored: await stored() };
    using redelivered = countRedelivered();
    await using crew = await WorkerCrew.start(server.url, 2);
    const kills = new PacedKills({ runs: RUNS, kills: times, random, unfinished });
    await Promise.all([startRuns(prefix, kills), kills.run(() => kill(crew))]);
    await expectEverythingOnce(prefix);
    console.log(`Unfinished at each kill: ${kills.unfinished.join(', ')}. Redelivered: ${redelivered.messages}.`);
    expect(kills.unfinished).toHaveLength(times);
    for (const underWay of kills.unfinished) expect(underWay).toBeGreaterThan(0);
    // Each of its own: what one has lost another one may not have counted twice.
    expect(await counted()).toEqual(before.counted.map((passed) => passed + RUNS / COUNTERS));
    const places = RUNS * (1 + STEPS.length);
    const taken = (await stored()) - before.stored;
    expect(taken).toBeGreaterThanOrEqual(places + RUNS);
    expect(taken).toBeLessThanOrEqual(places + 2 * RUNS);
    expect(crew.accidents).toEqual([]);
    return redelivered.messages;
  }

  it(`brings ${RUNS} runs to their end, each step once, through 20 kills of workers`, async () => {
    const redelivered = await expectAllOnce('worker-', 20, (crew) => crew.killOne(random));
    expect(redelivered).toBeGreaterThan(0);
  });

  it(`brings ${RUNS} runs to their end, each step once, through kills of the server`, async (context) => {
    needsServer(context, server, SURVIVES_SERVER_KILLS, 'keeping consumers when the server is killed');
    // A server that is killed need not have stored what it had delivered: to it the next delivery may be the first one.
    await expectAllOnce('server-', 3, async () => {
      await server.kill();
      await server.restart();
    });
  });
});
