import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { describe, expect, it } from 'vitest';
import {
  Barrier,
  ConnectionError,
  Coordination,
  CountDownLatch,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  InjectBarrier,
  InjectCountDownLatch,
  InjectRateLimiter,
  InjectWaitGroup,
  json,
  RateLimiter,
  WaitGroup,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../support/flow-app.js';
import { useFlowServer } from '../support/flow-server.js';
import { until } from '../support/until.js';

const at = useFlowServer();
const Text = json<string>('Text');
const Patient = flow('patient', { input: Text, output: Text });
/** What each path waits for, by the bucket of it. */
const WATCHED = { group: 'flow_waitgroup_busy', latch: 'flow_latch_busy', barrier: 'flow_barrier_busy' };
const LIMIT = { limit: 1, window: '1h' } as const;
const FEATURES = {
  waitGroups: [{ name: 'busy' }],
  latches: [{ name: 'busy' }],
  barriers: [{ name: 'busy', parties: 2 }],
  rateLimiters: [{ name: 'busy', ...LIMIT }],
};

@Controller()
class Waiting {
  readonly errors: unknown[] = [];
  calls = 0;

  constructor(
    @InjectWaitGroup('busy') private readonly group: WaitGroup,
    @InjectCountDownLatch('busy') private readonly latch: CountDownLatch,
    @InjectBarrier('busy') private readonly barrier: Barrier,
    @InjectRateLimiter('busy') private readonly limiter: RateLimiter,
  ) {}

  @Get('group')
  forGroup() {
    return this.report(this.group.wait('k'));
  }

  @Get('latch')
  forLatch() {
    return this.report(this.latch.wait('k'));
  }

  @Get('barrier')
  forBarrier() {
    return this.report(this.barrier.arrive('k'));
  }

  @Get('limiter')
  forLimiter() {
    return this.report(this.limiter.waitFor('k'));
  }

  private async report(waiting: Promise<unknown>): Promise<unknown> {
    this.calls += 1;
    return waiting.catch((error: unknown) => {
      this.errors.push(error);
      throw error;
    });
  }
}

class PatientSteps {
  readonly begun: string[] = [];

  constructor(
    @InjectWaitGroup('busy') private readonly group: WaitGroup,
    @InjectRateLimiter('busy') private readonly limiter: RateLimiter,
  ) {}

  @FlowStep({ flow: Patient, concurrency: 2 })
  async work(text: string): Promise<string> {
    this.begun.push(text);
    if (text === 'group') await this.group.wait('step');
    else await this.limiter.waitFor('step');
    return `${text} has waited`;
  }
}

async function startHttp() {
  @Module({
    imports: [FlowModule.forRoot({ servers: at.url }), FlowModule.forFeature(FEATURES)],
    controllers: [Waiting],
  })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

/** Watches of a bucket that the server serves. */
async function watches(bucket: string): Promise<number> {
  return (await at.streams.manager.consumers.list(`KV_${bucket}`).next()).length;
}

describe('the shutdown of an application', () => {
  it('ends, and answers the requests that wait for counts and units, though nobody gives them', async () => {
    await using other = await startFlowApp(at.url, [], {}, [FlowModule.forFeature(FEATURES)]);
    const coordination = other.get(Coordination);
    await coordination.waitGroup('busy').add('k');
    await coordination.latch('busy').set('k', 1);
    await coordination.rateLimiter('busy').consume('k');
    const { app, url } = await startHttp();
    const waiting = app.get(Waiting);
    const paths = [...Object.keys(WATCHED), 'limiter'];
    const answers = paths.map((path) => fetch(`${url}/${path}`, { headers: { connection: 'close' } }));
    await until(() => waiting.calls === 4, { what: 'the requests' });
    for (const bucket of Object.values(WATCHED))
      await until(async () => (await watches(bucket)) > 0, { what: `a waiter in ${bucket}` });

    await app.close();

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([500, 500, 500, 500]);
    expect(waiting.errors).toHaveLength(4);
    for (const error of waiting.errors) {
      expect(error).toBeInstanceOf(ConnectionError);
      expect((error as Error).message).toContain('the application stops');
    }
    // Nothing of it is left on the server, and what they waited for is as it was.
    for (const bucket of Object.values(WATCHED))
      await until(async () => (await watches(bucket)) === 0, { what: `no watch of ${bucket}` });
    expect(await coordination.waitGroup('busy').count('k')).toBe(1);
  });

  it('has steps wait until they get it, before it ends', async () => {
    await using other = await startFlowApp(at.url, [], {}, [FlowModule.forFeature(FEATURES)]);
    const coordination = other.get(Coordination);
    const group = coordination.waitGroup('busy');
    await group.add('step');
    const limiter = coordination.rateLimiter('busy');
    await limiter.consume('step');
    const closing = await startFlowApp(at.url, [PatientSteps], {}, [FlowModule.forFeature(FEATURES)]);
    const steps = closing.get(PatientSteps);
    const client = other.get(FlowClient);
    const runs = [await client.start(Patient, 'group'), await client.start(Patient, 'limiter')];
    await until(() => steps.begun.length === 2, { what: 'both to wait' });
    await until(async () => (await watches('flow_waitgroup_busy')) > 0, { what: 'the watch' });
    let closed = false;

    const closes = closing.close().then(() => (closed = true));
    await until(async () => (await at.streams.manager.consumers.info('FLOW_patient', 'start')).num_waiting === 0, {
      what: 'the drain to begin',
    });
    expect(closed).toBe(false);
    await group.done('step');
    await closing.get(Coordination).rateLimiter('busy').reset('step');

    await closes;
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results.toSorted()).toEqual(['group has waited', 'limiter has waited']);
  });
});
