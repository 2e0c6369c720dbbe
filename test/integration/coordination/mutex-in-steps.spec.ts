import { expect, it } from 'vitest';
import { flow, FlowClient, FlowModule, FlowStep, InjectMutex, json, Mutex, type Lease } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const at = useFlowServer();
const Text = json<string>('Text');
const Locked = flow('locked', { input: Text, output: Text });
const LOCKS = FlowModule.forFeature({ mutexes: [{ name: 'line' }] });

class LockedSteps {
  readonly begun: string[] = [];
  readonly leases: Lease[] = [];
  readonly held = gate();

  constructor(@InjectMutex('line') private readonly mutex: Mutex) {}

  @FlowStep({ flow: Locked, concurrency: 2 })
  async work(text: string): Promise<string> {
    this.begun.push(text);
    return this.mutex.runExclusive('k', async (lease) => {
      this.leases.push(lease);
      await this.held.opened;
      lease.signal.throwIfAborted();
      return `${text} with token ${this.leases.length}`;
    });
  }
}

it('keeps the mutex of a step, and has another step wait for it, until the application has drained', async () => {
  await using staying = await startFlowApp(at.url, [], {}, [LOCKS]);
  const closing = await startFlowApp(at.url, [LockedSteps], {}, [LOCKS]);
  const steps = closing.get(LockedSteps);
  const client = staying.get(FlowClient);
  const runs = [await client.start(Locked, 'one'), await client.start(Locked, 'other')];
  await until(() => steps.begun.length === 2 && steps.leases.length === 1, { what: 'one to hold, the other to wait' });
  let closed = false;

  const closes = closing.close().then(() => (closed = true));
  await until(async () => (await at.streams.manager.consumers.info('FLOW_locked', 'start')).num_waiting === 0, {
    what: 'the drain to begin',
  });
  expect(steps.leases[0]?.signal.aborted).toBe(false);
  expect(closed).toBe(false);
  steps.held.open();

  await closes;
  const results = await Promise.all(runs.map((run) => run.result()));
  expect(results.map((result) => result?.split(' ').at(-1)).toSorted()).toEqual(['1', '2']);
  // Each began once: none was handed back to the server.
  expect(steps.begun.toSorted()).toEqual(['one', 'other']);
  expect(steps.leases.map(({ fencingToken }) => fencingToken)).toEqual(
    steps.leases.map(({ fencingToken }) => fencingToken).toSorted((one, other) => one - other),
  );
});
