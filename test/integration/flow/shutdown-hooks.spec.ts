import {
  Inject,
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  Flow,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  InjectObjectStore,
  json,
  KvObject,
  ShutdownError,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';

const Text = json<string>('Text');
const Late = flow('late', { input: Text, output: Text });
const Next = flow('next', { input: Text, output: Text });
const Impostors = flow('impostors', { input: Text, output: Text });

/** What happened, in order. */
class Journal {
  readonly lines: string[] = [];
}

/** A provider that takes notes of Nest's hooks, such as a pool of database connections would be. */
abstract class Pool implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  abstract readonly name: string;

  constructor(@Inject(Journal) readonly journal: Journal) {}

  onModuleDestroy(): void {
    this.journal.lines.push(`${this.name}: onModuleDestroy`);
  }
  beforeApplicationShutdown(): void {
    this.journal.lines.push(`${this.name}: beforeApplicationShutdown`);
  }
  onApplicationShutdown(): void {
    this.journal.lines.push(`${this.name}: onApplicationShutdown`);
  }
}

@Injectable()
class RootPool extends Pool {
  readonly name = 'root';
}

@Injectable()
class DeepPool extends Pool {
  readonly name = 'deep';
}

@Module({ providers: [Journal], exports: [Journal] })
class JournalModule {}

@Module({ imports: [JournalModule], providers: [DeepPool] })
class DeepModule {}

@Module({ imports: [DeepModule] })
class BetweenModule {}

@KvObject({ bucket: 'late_runs', schema: json<{ runs: number }>('LateRuns') })
class LateRuns implements KvReducer<{ runs: number }, number, string> {
  key(of: string): string {
    return of;
  }
  empty(): { runs: number } {
    return { runs: 0 };
  }
  apply(state: { runs: number }, more: number): void {
    state.runs += more;
  }
}

@Flow(Late)
class LateFlow implements OnModuleDestroy {
  readonly begun = gate();
  readonly closing = gate();

  constructor(
    private readonly journal: Journal,
    private readonly flows: FlowClient,
    @InjectObjectStore(LateRuns) private readonly runs: ObjectStore<LateRuns>,
  ) {}

  onModuleDestroy(): void {
    this.closing.open();
  }

  @FlowStep()
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.begun.open();
    await this.closing.opened;
    await this.runs.update('all', 1, { idempotencyKey: ctx.runId });
    await this.flows.start(Next, text, { runId: `after-${ctx.runId}` });
    this.journal.lines.push('the step ends');
    return text;
  }
}

class Impostor {
  @FlowStep({ flow: Impostors, retry: fixed(1, { attempts: 2 }) })
  work(): void {
    throw new ShutdownError('work');
  }
}

describe('at the shutdown of an application', () => {
  const nats = useFlowServer();

  it('a step has what it needs, as long as that is closed in onApplicationShutdown', async () => {
    const app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [
          FlowModule.forRoot({ servers: url }),
          FlowModule.forFeature({ objects: [LateRuns] }),
          BetweenModule,
          JournalModule,
        ],
        providers: [LateFlow, RootPool],
      }),
      { server: nats, logger: false },
    );
    const { lines } = app.get(Journal);
    await app.get(FlowClient).start(Late, 'x', { runId: 'one' });
    await app.get(LateFlow).begun.opened;
    await app.close();

    const ended = lines.indexOf('the step ends');
    // Too early for what steps need: they are still running.
    expect(lines.slice(0, ended)).toEqual(expect.arrayContaining(['root: onModuleDestroy', 'deep: onModuleDestroy']));
    // When this runs depends on the module: before the steps have ended, or after.
    const drained = lines.filter((line) => !line.endsWith(': beforeApplicationShutdown'));
    expect(drained.slice(drained.indexOf('the step ends')).toSorted()).toEqual([
      'deep: onApplicationShutdown',
      'root: onApplicationShutdown',
      'the step ends',
    ]);

    // What the step did meanwhile has arrived.
    await using other = await startFlowApp(nats.url, [], { consume: false });
    const flows = other.get(FlowClient);
    expect(await flows.run(Late, 'one').result()).toBe('x');
    expect((await flows.run(Next, 'after-one').status()).state).toBe('running');
  });

  it('only its own error hands a message back: one that a handler throws is a failure', async () => {
    await using app = await startFlowApp(nats.url, [Impostor]);
    const run = await app.get(FlowClient).start(Impostors, 'x', { runId: 'impostor' });
    await expect(run.result()).rejects.toThrow(/interrupted/);
    const letter = await app.get(DeadLetters).get('impostors.work.impostor');
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', attempts: 2, error: { code: 'SHUTDOWN' } });
  });
});
