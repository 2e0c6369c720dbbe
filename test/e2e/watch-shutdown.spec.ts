import { Controller, Get, Module, Sse, type MessageEvent } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { from, map, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  InjectObjectStore,
  json,
  KvObject,
  ObjectStore,
  type KvReducer,
} from 'nestjs-jetstream-flow';
import { useFlowServer } from '../support/flow-server.js';
import { gate, type Gate } from '../support/gate.js';
import { until } from '../support/until.js';

const at = useFlowServer();
const Text = json<string>('Text');
const Elsewhere = flow('elsewhere', { input: Text, output: Text });
const Draining = flow('draining', { input: Text, output: Text });

interface Count {
  count: number;
}

@KvObject({ bucket: 'watched', schema: json<Count>('Count') })
class Counts implements KvReducer<Count, number, string> {
  key(name: string): string {
    return name;
  }
  empty(): Count {
    return { count: 0 };
  }
  apply(state: Count, by: number): void {
    state.count += by;
  }
}

class DrainingSteps {
  readonly entered = gate();
  readonly signalled: Gate = gate();

  @FlowStep({ flow: Draining })
  async work(text: string): Promise<string> {
    this.entered.open();
    await this.signalled.opened;
    return text.toUpperCase();
  }
}

@Controller()
class Waiting {
  readonly errors: unknown[] = [];
  entered = 0;

  constructor(
    private readonly flows: FlowClient,
    @InjectObjectStore(Counts) private readonly counts: ObjectStore<Counts>,
  ) {}

  @Get('result')
  forResult() {
    this.entered += 1;
    return this.flows
      .run(Elsewhere, 'never')
      .result()
      .catch((error: unknown) => {
        this.errors.push(error);
        throw error;
      });
  }

  @Get('drained')
  forDrained() {
    this.entered += 1;
    return this.flows.run(Draining, 'drained').result();
  }

  @Sse('run')
  forRun(): Observable<MessageEvent> {
    return from(this.flows.run(Elsewhere, 'never').watch()).pipe(map(({ state }) => ({ data: state })));
  }

  @Sse('entries')
  forEntries(): Observable<MessageEvent> {
    return this.counts.observe().pipe(map(({ type }) => ({ data: type })));
  }
}

@Module({})
class Root {}

/** The application, and its steps that take their time. */
async function startHttp() {
  const app = await NestFactory.create(
    {
      module: Root,
      imports: [FlowModule.forRoot({ servers: at.url }), FlowModule.forFeature({ objects: [Counts] })],
      controllers: [Waiting],
      providers: [DrainingSteps],
    },
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

/** What comes over a request, as it comes. */
class Received {
  text = '';
  readonly ended: Promise<void>;

  constructor(readonly response: Response) {
    this.ended = this.read();
  }

  static async from(url: string): Promise<Received> {
    return new Received(await fetch(url, { headers: { connection: 'close' } }));
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.response.body as AsyncIterable<Uint8Array>) this.text += decoder.decode(chunk);
  }
}

describe('the shutdown of an application with requests that follow something', () => {
  it('ends, and so do they: with the result of what drained, with an error or just at the end', async () => {
    await at.streams.manager.streams.add({
      name: 'FLOW_elsewhere',
      subjects: ['flow.elsewhere.>'],
      max_age: 7 * 86_400_000_000_000,
      max_msgs_per_subject: 1,
      republish: { src: 'flow.elsewhere.run.>', dest: 'flow_event.elsewhere.run.>' },
    });
    const { app, url } = await startHttp();
    const flows = app.get(FlowClient);
    const steps = app.get(DrainingSteps);
    await flows.start(Elsewhere, 'x', { runId: 'never' });
    await flows.start(Draining, 'x', { runId: 'drained' });
    await steps.entered.opened;
    const run = await Received.from(`${url}/run`);
    const entries = await Received.from(`${url}/entries`);
    await until(() => run.text.includes('running'), { what: 'the run' });
    await until(() => entries.text.includes('caught-up'), { what: 'the end of what is there' });
    const result = Received.from(`${url}/result`);
    const drained = Received.from(`${url}/drained`);
    await until(() => app.get(Waiting).entered === 2, { what: 'the requests' });

    const closed = app.close();
    steps.signalled.open();
    await closed;

    await Promise.all([run.ended, entries.ended]);
    expect((await result).response.status).toBe(500);
    const { errors } = app.get(Waiting);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(ConnectionError);
    expect((errors[0] as Error).message).toContain('the application stops');
    const answer = await drained;
    await answer.ended;
    expect(answer.response.status).toBe(200);
    expect(answer.text).toBe('X');
  });
});
