import { describe, expect, it } from 'vitest';
import { DeadLetters, fixed, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { FlowOrchestrator } from '../../../lib/flow/flow.orchestrator.js';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { ProgressSigns } from '../../support/progress-signs.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Crowded = flow('crowded', { input: Text });
const Blocking = flow('blocking', { input: Text });
const Patient = flow('patient', { input: Text });
const Pausing = flow('pausing', { input: Text });
const Pacing = flow('pacing', { input: Text });
const Given = flow('given', { input: Text });
const Longer = flow('a_b', { input: Text });
const Shorter = flow('a', { input: Text });

/** What a handler was called with, and when. */
interface Call {
  readonly text: string;
  readonly attempt: number;
  readonly at: number;
}

class Recorder {
  readonly calls: Call[] = [];

  protected record(text: string, { attempt }: FlowContext): void {
    this.calls.push({ text, attempt, at: performance.now() });
  }
}

class CrowdedSteps extends Recorder {
  // A sign of life at each sixth to third of the ack wait: a unit comes with every second one, or with each.
  @FlowStep({ flow: Crowded, rate: { limit: 10, window: '1s', burst: 1 }, ackWait: '300ms' })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

class BlockingSteps {
  readonly entered = gate();
  readonly done = gate();

  @FlowStep({ flow: Blocking })
  async work(_text: string) {
    this.entered.open();
    await this.done.opened;
  }
}

const patience = { retry: fixed(1, { attempts: 2 }), maxDeliveries: 2, concurrency: 1 };

class PatientSteps extends Recorder {
  @FlowStep({ flow: Patient, rate: { limit: 1, window: '1h', key: () => 'all' }, ...patience })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

class QuickSteps extends Recorder {
  @FlowStep({ flow: Patient, rate: { limit: 1_000, window: '1s', key: () => 'all' }, ...patience })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

const fivePerSecond = { limit: 5, window: '1s', burst: 1 } as const;

class PausingSteps extends Recorder {
  @FlowStep({ flow: Pausing, rate: fivePerSecond })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

/** Shows when units of the same rate come. */
class PacingSteps extends Recorder {
  @FlowStep({ flow: Pacing, rate: fivePerSecond })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

class GivenSteps extends Recorder {
  @FlowStep({ flow: Given, rate: { limit: 2, window: '1h' } })
  work(text: string, ctx: FlowContext) {
    this.record(text, ctx);
  }
}

class NamesakeSteps {
  @FlowStep({ flow: Longer, rate: { limit: 1, window: '1h' } })
  c(_text: string) {
    // Has a rate.
  }
  @FlowStep({ flow: Shorter, rate: { limit: 1, window: '2h' } })
  b_c(_text: string) {
    // Has another rate.
  }
}

describe('the units of a rate', () => {
  const nats = useFlowServer();

  const start = (app: FlowApp, contract: Parameters<FlowClient['start']>[0], texts: readonly string[]) =>
    Promise.all(texts.map((text) => app.get(FlowClient).start(contract, text, { runId: text })));

  const pulls = async (stream: string): Promise<number> =>
    (await nats.streams.manager.consumers.info(stream, 'start')).num_waiting;

  it('do not pile up while there is no place for a message', async () => {
    await using app = await startFlowApp(nats.url, [CrowdedSteps, BlockingSteps], { maxInFlight: 1 });
    const blocking = app.get(BlockingSteps);
    await start(app, Blocking, ['in the way']);
    await blocking.entered.opened;
    using signs = await ProgressSigns.of(nats.streams, 'FLOW_crowded');
    await start(app, Crowded, ['1', '2', '3', '4', '5', '6']);
    await until(() => signs.ofEach(1) >= 20, { what: 'the time of ten units' });
    const { calls } = app.get(CrowdedSteps);
    expect(calls).toEqual([]);
    blocking.done.open();
    await until(() => calls.length === 6, { what: 'all messages are handled' });
    // Five times 100 ms; the first one may be late.
    expect(calls[5]!.at - calls[0]!.at).toBeGreaterThan(250);
  });

  it('are waited for over any number of restarts, without an attempt', async () => {
    const texts = ['1', '2', '3', '4'];
    const calls: Call[] = [];
    for (let boot = 0; boot < 5; boot++) {
      await using app = await startFlowApp(nats.url, [PatientSteps]);
      if (boot === 0) await start(app, Patient, texts);
      if (boot === 0) await until(() => app.get(PatientSteps).calls.length === 1, { what: 'the first is handled' });
      const held = (): number | undefined => app.get(FlowOrchestrator).inFlight().get('patient')?.get('work');
      await until(() => held() === 3, { what: 'the others wait' });
      calls.push(...app.get(PatientSteps).calls);
    }
    await using app = await startFlowApp(nats.url, [QuickSteps]);
    await until(() => app.get(QuickSteps).calls.length === 3, { what: 'the others are handled' });
    calls.push(...app.get(QuickSteps).calls);
    expect(calls.map(({ text }) => text).sort()).toEqual(texts);
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
    const letters = [];
    for await (const letter of app.get(DeadLetters).list()) letters.push(letter);
    expect(letters).toEqual([]);
  });

  it('are not waited for by a paused step', async () => {
    await using app = await startFlowApp(nats.url, [PausingSteps, PacingSteps]);
    const { calls } = app.get(PausingSteps);
    await start(app, Pausing, ['1', '2', '3', '4', '5', '6']);
    await until(() => calls.length > 0, { what: 'the first is handled' });
    await app.get(FlowClient).pause(Pausing);
    await until(async () => (await pulls('FLOW_pausing')) === 0, { what: 'the step is paused' });
    const begun = calls.length;
    await start(app, Pacing, ['1', '2', '3', '4']);
    await until(() => app.get(PacingSteps).calls.length === 4, { what: 'the time of three units' });
    expect(calls).toHaveLength(begun);
    await app.get(FlowClient).resume(Pausing);
    await until(() => calls.length === 6, { what: 'all are handled' });
  });

  it('are not used by runs that are cancelled', async () => {
    await using app = await startFlowApp(nats.url, [GivenSteps]);
    const client = app.get(FlowClient);
    await client.pause(Given);
    await until(async () => (await pulls('FLOW_given')) === 0, { what: 'the step is paused' });
    const runs = await start(app, Given, ['cancelled 1', 'cancelled 2', 'wanted 1', 'wanted 2']);
    for (const run of runs.slice(0, 2)) await run.cancel();
    await client.resume(Given);
    const { calls } = app.get(GivenSteps);
    await until(() => calls.length === 2, { what: 'the others are handled' });
    expect(calls.map(({ text }) => text).sort()).toEqual(['wanted 1', 'wanted 2']);
  });

  it('are counted in a bucket for each step, whatever the names', async () => {
    await using app = await startFlowApp(nats.url, [NamesakeSteps]);
    const runs = [...(await start(app, Longer, ['x'])), ...(await start(app, Shorter, ['x']))];
    for (const run of runs) await run.result();
    const names = [];
    for await (const name of nats.streams.manager.streams.names()) names.push(name);
    expect(names.filter((name) => name.startsWith('KV_flow_rate_a_'))).toHaveLength(2);
  });
});
