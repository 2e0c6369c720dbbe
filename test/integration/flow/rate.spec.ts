import { describe, expect, it } from 'vitest';
import { ConfigurationError, fixed, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { ProgressSigns } from '../../support/progress-signs.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

interface Job {
  readonly customer: string;
}

const JobSchema = json<Job>('Job');
const Steady = flow('steady', { input: JobSchema });
const PerCustomer = flow('per-customer', { input: JobSchema });
const Stalled = flow('stalled', { input: JobSchema });
const Shared = flow('shared', { input: JobSchema });
const SharedByKey = flow('shared-by-key', { input: JobSchema });
const Probe = flow('probe', { input: JobSchema });
const Failing = flow('failing', { input: JobSchema });
const Broken = flow('broken', { input: JobSchema });

/** A handler that was called. */
interface Call {
  readonly runId: string;
  readonly attempt: number;
  readonly at: number;
}

class Recorder {
  readonly calls: Call[] = [];

  protected record({ runId, attempt }: FlowContext): void {
    this.calls.push({ runId, attempt, at: performance.now() });
  }
}

class SteadySteps extends Recorder {
  // The wait is many times the ack wait.
  @FlowStep({ flow: Steady, rate: { limit: 20, window: '1s', burst: 1 }, ackWait: 200 })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
  }
}

class CustomerSteps extends Recorder {
  @FlowStep({
    flow: PerCustomer,
    rate: { limit: 1, window: '1h', key: ({ customer }: Job) => customer, waiting: 20 },
    concurrency: 1,
    ackWait: 200,
  })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
  }
}

class StalledSteps extends Recorder {
  @FlowStep({ flow: Stalled, rate: { limit: 1, window: 1_500 } })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
  }
}

class FailingSteps extends Recorder {
  @FlowStep({ flow: Failing, rate: { limit: 10, window: '1s', burst: 1 }, retry: fixed(1, { attempts: 3 }) })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
    throw new Error('never works');
  }
}

class BrokenKeySteps extends Recorder {
  @FlowStep({
    flow: Broken,
    rate: {
      limit: 100,
      window: '1s',
      key: () => {
        throw new Error('no key');
      },
    },
  })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
  }
}

/** Has nobody go on before each application has had a call: neither can use up what both have. */
const together = gate();

class SharedSteps extends Recorder {
  @FlowStep({ flow: Shared, rate: { limit: 6, window: '1h' }, concurrency: 2 })
  async work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
    await together.opened;
  }
}

const togetherByKey = gate();

class SharedByKeySteps extends Recorder {
  @FlowStep({
    flow: SharedByKey,
    rate: { limit: 3, window: '1h', key: ({ customer }: Job) => customer, waiting: 20 },
    concurrency: 2,
  })
  async work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
    await togetherByKey.opened;
  }
}

/** A step without a rate. */
class ProbeSteps extends Recorder {
  @FlowStep({ flow: Probe })
  work(_job: Job, ctx: FlowContext) {
    this.record(ctx);
  }
}

const byTime = (a: Call, b: Call): number => a.at - b.at;

describe('the rate of a step', () => {
  const nats = useFlowServer();

  const redelivered = async (flowName: string): Promise<number> =>
    (await nats.streams.manager.consumers.info(`FLOW_${flowName}`, 'start')).num_redelivered;

  it('holds over all instances, and costs no message an attempt', async () => {
    await using one = await startFlowApp(nats.url, [SteadySteps]);
    await using other = await startFlowApp(nats.url, [SteadySteps]);
    const client = one.get(FlowClient);
    const runs = Array.from({ length: 30 }, (_, index) =>
      client.start(Steady, { customer: 'a' }, { runId: `${index}` }),
    );
    await Promise.all(runs);
    const calls = (): Call[] => [one, other].flatMap((app) => app.get(SteadySteps).calls).sort(byTime);
    await until(() => calls().length === 30, { what: 'all messages are handled' });
    // 29 times 50 ms; the first one may be late.
    expect(calls()[29]!.at - calls()[0]!.at).toBeGreaterThan(700);
    expect(calls().map(({ attempt }) => attempt)).toEqual(Array.from({ length: 30 }, () => 1));
    expect(await redelivered('steady')).toBe(0);
    for (const app of [one, other]) expect(app.get(SteadySteps).calls.length).toBeGreaterThan(3);
  });

  it.each([
    ['as a whole', Shared, SharedSteps, together, ['a'], 6],
    ['by key', SharedByKey, SharedByKeySteps, togetherByKey, ['a', 'b'], 3],
  ] as const)('is one for all instances, %s', async (_what, contract, Steps, bothCalled, customers, limit) => {
    const apps = await Promise.all([0, 1].map(() => startFlowApp(nats.url, [Steps, ProbeSteps])));
    const client = apps[0]!.get(FlowClient);
    // Not in turns: each instance would get one customer's.
    for (const customer of customers)
      for (let index = 0; index < 14; index++)
        await client.start(contract, { customer }, { runId: `${customer}${index}` });
    const steps = apps.map((app) => app.get<Recorder>(Steps));
    await until(() => steps.every(({ calls }) => calls.length > 0), { what: 'each instance to have a call' });
    bothCalled.open();
    const called = (): string[] => steps.flatMap(({ calls }) => calls.map(({ runId }) => runId.charAt(0))).sort();
    const most = customers.length * limit;
    await until(() => called().length >= most, { what: 'the rate to be used up' });
    // As much as there is room for in the instances.
    const room = customers.length === 1 ? 4 : customers.length * 14 - most;
    const waiting = async (): Promise<number> =>
      (await nats.streams.manager.consumers.info(`FLOW_${contract.name}`, 'start')).num_ack_pending;
    await until(async () => (await waiting()) === room, { what: 'the others to wait' });
    // Whoever is allowed to has begun by the time that each instance has handled many messages that came later.
    const probes = apps.map((app) => app.get(ProbeSteps).calls);
    while (probes.some((calls) => calls.length < 10)) await (await client.start(Probe, { customer: 'p' })).result();
    await Promise.all(apps.map((app) => app.close()));
    expect(called()).toEqual(customers.flatMap((customer) => Array.from({ length: limit }, () => customer)));
  });

  it('of a key lets the messages of other keys pass', async () => {
    await using app = await startFlowApp(nats.url, [CustomerSteps]);
    const client = app.get(FlowClient);
    for (let index = 0; index < 10; index++)
      await client.start(PerCustomer, { customer: 'busy' }, { runId: `b${index}` });
    for (let index = 0; index < 5; index++)
      await client.start(PerCustomer, { customer: `c${index}` }, { runId: `c${index}` });
    const { calls } = app.get(CustomerSteps);
    await until(() => calls.length === 6, { what: 'every customer has had a turn' });
    expect(calls.map(({ runId }) => runId).sort()).toEqual(['b0', 'c0', 'c1', 'c2', 'c3', 'c4']);
    // The others are held, for many times the ack wait: within each there are three to six signs of life.
    using signs = await ProgressSigns.of(nats.streams, 'FLOW_per-customer');
    await until(() => signs.ofEach(9) >= 30, { what: 'the time of five ack waits for each of the others' });
    expect(calls).toHaveLength(6);
    expect(await redelivered('per-customer')).toBe(0);
  });

  it('keeps nothing from being handed back when the application stops', async () => {
    const app = await startFlowApp(nats.url, [StalledSteps]);
    const client = app.get(FlowClient);
    for (let index = 0; index < 3; index++) await client.start(Stalled, { customer: 'a' }, { runId: `${index}` });
    const { calls } = app.get(StalledSteps);
    await until(() => calls.length === 1, { what: 'the first message is handled' });
    await app.close();
    await using next = await startFlowApp(nats.url, [StalledSteps]);
    await until(() => next.get(StalledSteps).calls.length === 2, { what: 'the others are handled elsewhere' });
    const all = [...calls, ...next.get(StalledSteps).calls].sort(byTime);
    expect(all.map(({ runId }) => runId).sort()).toEqual(['0', '1', '2']);
    // Twice 1.5 s; the first one may be late.
    expect(all[2]!.at - all[0]!.at).toBeGreaterThan(2_000);
    expect(all.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  });

  it('counts attempts like messages', async () => {
    await using app = await startFlowApp(nats.url, [FailingSteps]);
    await app.get(FlowClient).start(Failing, { customer: 'a' }, { runId: 'fails' });
    const { calls } = app.get(FailingSteps);
    await until(() => calls.length === 3, { what: 'all attempts are made' });
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(calls[2]!.at - calls[0]!.at).toBeGreaterThan(100);
  });

  it('whose key throws is one rate for all such messages', async () => {
    await using app = await startFlowApp(nats.url, [BrokenKeySteps]);
    const run = await app.get(FlowClient).start(Broken, { customer: 'a' });
    await run.result();
    expect(app.get(BrokenKeySteps).calls).toHaveLength(1);
  });

  it('is checked at boot with all other options', async () => {
    class Wrong {
      @FlowStep({ flow: Steady, rate: { limit: 0, window: 'soon' as '1s', algorithm: 'sliding-log', burst: 3 } })
      work(): void {
        // Never called.
      }
    }
    const error = await startFlowApp(nats.url, [Wrong]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    const told = (error as Error).message;
    expect(told).toContain('option "rate.limit"');
    expect(told).toContain('option "rate.window"');
  });
});
