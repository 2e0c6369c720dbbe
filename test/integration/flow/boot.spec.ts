import type { LoggerService } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  Flow,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  json,
  NotFoundError,
  type FlowModuleOptions,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { TestStreams } from '../../support/jetstream-client.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const First = flow('first', { input: Text, output: Text });
const Second = flow('second', { input: Text, output: Text });
const CONCURRENCY = 16;

class FirstSteps {
  readonly begun: string[] = [];
  goOn = Promise.resolve();

  @FlowStep({ flow: First, subject: 'first.in', concurrency: CONCURRENCY })
  async one(text: string): Promise<string> {
    this.begun.push(text);
    await this.goOn;
    return `${text}1`;
  }
  @FlowStep({ flow: First, after: 'one' })
  two(text: string): string {
    return `${text}2`;
  }
}

class SecondSteps {
  @FlowStep({ flow: Second })
  only(text: string): string {
    return text;
  }
}

const Wrong = flow('wrong', { input: Text, output: json<number>('Number') });

class WrongSteps {
  @FlowStep({ flow: Wrong, after: 'entri' })
  typo(): void {
    // Never runs.
  }
  @FlowStep({ flow: Wrong, concurrency: 0 })
  entry(): void {
    // Never runs.
  }
  @FlowStep({ flow: Wrong, subject: 'flow.own' })
  reserved(): void {
    // Never runs.
  }
  @FlowStep({ flow: Second, name: 'only' })
  twice(): void {
    // Never runs.
  }
  @FlowStep()
  homeless(): void {
    // Never runs.
  }
}

@Flow(First)
class EmptySteps {
  one(text: string): string {
    return text;
  }
}

describe('the boot of an application', () => {
  const nats = useFlowServer();

  const boot = (providers: (new () => object)[], options: FlowModuleOptions, logger: LoggerService | false = false) =>
    FlowTestApp.start(({ url }) => ({ imports: [FlowModule.forRoot({ servers: url, ...options })], providers }), {
      server: nats,
      logger,
    });

  it('fails with every problem of every flow, and makes nothing', async () => {
    await using server = await EmbeddedNatsServer.start();
    const error = await startFlowApp(server.url, [WrongSteps, SecondSteps, EmptySteps]).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    const { message } = error as ConfigurationError;
    for (const problem of [
      /typo.*comes after "entri".*did you mean "entry"/i,
      /option "concurrency"/,
      /subject "flow\.own" begins with "flow\."/,
      /step name "only" is used 2 times/,
      /"homeless".*belongs to no flow/,
      /EmptySteps has @Flow, but no method with @FlowStep/,
    ]) {
      expect(message).toMatch(problem);
    }
    await using streams = await TestStreams.connect(server);
    expect(await collect(streams.manager.streams.list())).toEqual([]);
  });

  it('fails when a stream is there in a shape that cannot be changed, naming the streams of all flows', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using streams = await TestStreams.connect(server);
    for (const name of ['first', 'second']) {
      const subjects = [`flow.${name}.>`];
      await streams.manager.streams.add({ name: `FLOW_${name}`, subjects, storage: 'memory' });
    }
    const booting = startFlowApp(server.url, [FirstSteps, SecondSteps], { durability: 'file' });
    await expect(booting).rejects.toThrow(ConfigurationError);
    await expect(booting).rejects.toThrow(/"FLOW_first"[\s\S]*storage: have "memory", want "file"[\s\S]*"FLOW_second"/);
    expect(await streams.unfinished('FLOW_first', 'step_one').catch(String)).toContain('not found');
  });

  it('reports the consumers of removed steps with what waits there, and leaves them alone', async () => {
    const Changing = flow('changing', { input: Text, output: Text });
    class Before {
      @FlowStep({ flow: Changing, subject: ['changing.kept', 'changing.gone'] })
      entry(text: string): string {
        return text;
      }
      @FlowStep({ flow: Changing, after: 'entry' })
      removed(text: string): string {
        return text;
      }
    }
    class After {
      @FlowStep({ flow: Changing })
      entry(text: string): string {
        return text;
      }
      @FlowStep({ flow: Changing, after: 'entry' })
      added(text: string): string {
        return text;
      }
    }
    {
      await using before = await boot([Before], {});
      await before.get(FlowClient).pause(Changing, 'removed');
      const { manager } = nats.streams;
      await until(async () => (await manager.consumers.info('FLOW_changing', 'step_removed')).num_waiting === 0, {
        what: 'the pause',
      });
      for (const id of ['a', 'b', 'c']) await nats.streams.publish('changing.gone', id, { id });
      await until(async () => (await nats.streams.unfinished('FLOW_changing', 'step_removed')) === 3, {
        what: 'a backlog',
      });
    }
    await nats.streams.publish('changing.gone', 'd', { id: 'd' });
    const warnings: string[] = [];
    const ignore = (): void => undefined;
    const logger = { log: ignore, error: ignore, warn: (line: unknown) => warnings.push(String(line)) };
    await using after = await boot([After], {}, logger);
    expect(after.get(FlowClient)).toBeDefined();
    const forgotten = warnings.filter((line) => line.includes('does not know')).toSorted();
    expect(forgotten).toEqual([
      expect.stringMatching(/"FLOW_changing".*"step_removed".*step "removed".*3 messages waiting and 0 in hand/),
      expect.stringMatching(/"FLOW_changing_IN".*changing=2Egone.*step "entry".*1 messages waiting/),
      expect.stringMatching(/"FLOW_changing_IN".*changing=2Ekept.*step "entry".*0 messages waiting/),
    ]);
    expect(await nats.streams.unfinished('FLOW_changing', 'step_removed')).toBe(3);
  });

  it('with provision "verify" changes nothing: it says what is missing, and runs when all is there', async () => {
    await using server = await EmbeddedNatsServer.start();
    const verify = { provision: 'verify' } as const;
    await expect(startFlowApp(server.url, [FirstSteps], verify)).rejects.toThrow(/does not exist/);
    await using streams = await TestStreams.connect(server);
    expect(await collect(streams.manager.streams.list())).toEqual([]);

    await (await startFlowApp(server.url, [FirstSteps]))[Symbol.asyncDispose]();
    {
      await using app = await startFlowApp(server.url, [FirstSteps], verify);
      expect(await (await app.get(FlowClient).start(First, 'x')).result()).toBe('x12');
    }
    await streams.manager.streams.update('FLOW_first', { max_age: 1_000_000_000_000 });
    await expect(startFlowApp(server.url, [FirstSteps], verify)).rejects.toThrow(/max_age/);
    await streams.manager.consumers.delete('FLOW_first', 'step_two');
    await expect(startFlowApp(server.url, [FirstSteps], { provision: 'off' })).rejects.toThrow(NotFoundError);
  });

  it('with provision "off" takes what is there as it is', async () => {
    await using server = await EmbeddedNatsServer.start();
    await (await startFlowApp(server.url, [FirstSteps]))[Symbol.asyncDispose]();
    await using streams = await TestStreams.connect(server);
    await streams.manager.streams.update('FLOW_first', { max_age: 1_000_000_000_000 });
    await using app = await startFlowApp(server.url, [FirstSteps], { provision: 'off' });
    expect(await (await app.get(FlowClient).start(First, 'x')).result()).toBe('x12');
    expect((await streams.manager.streams.info('FLOW_first')).config.max_age).toBe(1_000_000_000_000);
  });

  it('of ten instances at once makes everything once, and they share the work', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    const apps = await Promise.all(
      Array.from({ length: 10 }, () => startFlowApp(server.url, [FirstSteps, SecondSteps])),
    );
    await using streams = await TestStreams.connect(server);
    const names = (await collect(streams.manager.streams.list())).map(({ config }) => config.name);
    expect(names.toSorted()).toEqual(['FLOW_CONTROL', 'FLOW_DEAD', 'FLOW_first', 'FLOW_first_IN', 'FLOW_second']);
    const consumers = await collect(streams.manager.consumers.list('FLOW_first'));
    const durable = consumers.map(({ name }) => name).filter((name) => !name.startsWith('watch_'));
    expect(durable.toSorted()).toEqual(['start', 'step_one', 'step_two']);

    // Until all have begun none ends: no instance has the places for all.
    const held = gate();
    const instances = apps.map((app) => app.get(FirstSteps));
    for (const instance of instances) instance.goOn = held.opened;
    const runs = await Promise.all(
      Array.from({ length: 100 }, (_, at) => apps[at % 10]!.get(FlowClient).start(First, `${at}-`)),
    );
    const shares = (): number[] => instances.map(({ begun }) => begun.length).filter((share) => share > 0);
    await until(() => shares().reduce((sum, share) => sum + share, 0) >= 100, { what: 'all runs to begin' });
    expect(shares().length).toBeGreaterThanOrEqual(Math.ceil(100 / CONCURRENCY));
    expect(Math.max(...shares())).toBeLessThanOrEqual(CONCURRENCY);
    held.open();
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results).toEqual(Array.from({ length: 100 }, (_, at) => `${at}-12`));
    const begun = instances.flatMap((instance) => instance.begun);
    expect(begun.toSorted()).toEqual(Array.from({ length: 100 }, (_, at) => `${at}-`).toSorted());
    await Promise.all(apps.map((app) => app[Symbol.asyncDispose]()));
  });

  it('may come after the runs that clients have started', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using client = await startFlowApp(server.url, [], { consume: false });
    const flows = client.get(FlowClient);
    await expect(flows.run(First, 'unknown').status()).rejects.toThrow(NotFoundError);
    const run = await flows.start(First, 'early', { runId: 'early' });
    expect((await run.status()).state).toBe('running');
    const result = run.result();
    await using worker = await startFlowApp(server.url, [FirstSteps]);
    expect(worker.get(FlowClient)).toBeDefined();
    expect(await result).toBe('early12');
  });
});
