import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  Flow,
  flow,
  FlowClient,
  FlowConnection,
  FlowModule,
  FlowStep,
  json,
  RunFailedError,
  TerminalError,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp, WaitTimeoutError } from 'nestjs-jetstream-flow/testing';
import { probeServer } from '../../../lib/testing/probe-server.js';

interface Word {
  text: string;
}

const Words = flow('words', { input: json<Word>('Word'), output: json<Word>('Word'), track: 'step' });

@Injectable()
class Dictionary implements OnApplicationShutdown {
  closed = false;

  spell(text: string): string {
    return text.toUpperCase();
  }

  onApplicationShutdown(): void {
    this.closed = true;
  }
}

@Flow(Words)
class WordFlow {
  constructor(private readonly dictionary: Dictionary) {}

  @FlowStep({})
  read({ text }: Word): Word {
    if (text === 'forbidden') throw new TerminalError('not this one');
    return { text: this.dictionary.spell(text) };
  }

  @FlowStep({ after: 'read', input: json<Word>('Word') })
  write(word: Word): Promise<Word> | Word {
    return word.text === 'ENDLESS' ? new Promise(() => undefined) : word;
  }
}

describe('FlowTestApp', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  const startWords = (): Promise<FlowTestApp> =>
    FlowTestApp.start(
      ({ url }) => ({
        imports: [FlowModule.forRoot({ servers: url, shutdownTimeout: '100ms' })],
        providers: [WordFlow, Dictionary],
      }),
      { server, logger: false },
    );

  it('starts a server with the application and stops both', async () => {
    let url = '';
    let dictionary: Dictionary;
    {
      await using app = await FlowTestApp.start((own) => {
        url = own.url;
        return { imports: [FlowModule.forRoot({ servers: own.url })], providers: [WordFlow, Dictionary] };
      });
      expect(await app.run(Words, { text: 'hello' })).toEqual({ text: 'HELLO' });
      dictionary = app.get(Dictionary);
      expect(dictionary.closed).toBe(false);
    }
    expect(dictionary.closed).toBe(true);
    await expect(probeServer('127.0.0.1', Number(new URL(url).port), 1_000)).rejects.toThrow();
  });

  it('leaves a server that was given running', async () => {
    const app = await startWords();
    expect(await app.run(Words, { text: 'kept' }, { runId: 'kept' })).toEqual({ text: 'KEPT' });
    await Promise.all([app.close(), app.close()]);
    await using again = await startWords();
    expect(await again.get(FlowClient).run(Words, 'kept').result()).toEqual({ text: 'KEPT' });
  });

  it('passes the failure of a run on', async () => {
    await using app = await startWords();
    await expect(app.run(Words, { text: 'forbidden' })).rejects.toThrow(RunFailedError);
  });

  it('says where a run stands that does not end in time', async () => {
    await using app = await startWords();
    const error: unknown = await app.run(Words, { text: 'endless' }, { runId: 'e-1', timeout: '700ms' }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(WaitTimeoutError);
    expect((error as Error).message).toBe(
      'Run "e-1" of flow "words" did not end within 700 ms: it is running, with 1 message on the way and these steps behind it: read.',
    );
  });

  it('waits for a condition', async () => {
    await using app = await startWords();
    const run = await app.get(FlowClient).start(Words, { text: 'later' });
    const status = async (): Promise<boolean> => (await run.status()).state === 'completed';
    await app.eventually(status, { what: 'the end of the run' });
  });

  it('rejects what a boot throws and stops the server it started', async () => {
    let port = 0;
    const starting = FlowTestApp.start(
      ({ url }) => {
        port = Number(new URL(url).port);
        // The dictionary that the flow needs is missing.
        return { imports: [FlowModule.forRoot({ servers: url })], providers: [WordFlow] };
      },
      { logger: false },
    );
    await expect(starting).rejects.toThrow('Dictionary');
    await expect(probeServer('127.0.0.1', port, 1_000)).rejects.toThrow();
    await expect(
      FlowTestApp.start(() => ({ imports: [FlowModule.forRoot({ name: '' })] }), { server }),
    ).rejects.toThrow(ConfigurationError);
  });

  it('takes an application made with @nestjs/testing', async () => {
    const module = await Test.createTestingModule({
      imports: [FlowModule.forRoot({ servers: server.url, shutdownTimeout: '100ms' })],
      providers: [WordFlow, Dictionary],
    })
      .overrideProvider(Dictionary)
      .useValue({ spell: (text: string) => `<${text}>` })
      .compile();
    let connection: FlowConnection;
    {
      await using app = FlowTestApp.of(await module.init());
      expect(await app.run(Words, { text: 'abc' })).toEqual({ text: '<abc>' });
      connection = app.get(FlowConnection);
    }
    expect(connection.status).toBe('closed');
  });
});
