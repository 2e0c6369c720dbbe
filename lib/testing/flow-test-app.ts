import { Module, type INestApplicationContext, type InjectionToken, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MessageOf, MessageSchema } from '../codec/message-schema.js';
import { toMilliseconds, type Duration } from '../common/duration.js';
import { CancelledError } from '../common/errors.js';
import { FlowClient, type StartOptions } from '../flow/client/flow-client.js';
import type { FlowRun } from '../flow/client/flow-run.js';
import type { FlowContract } from '../flow/contract.js';
import { EmbeddedNatsServer } from './embedded-nats-server.js';
import { eventually, WaitTimeoutError, type EventuallyOptions } from './eventually.js';

/** Where an application under test connects to. An {@link EmbeddedNatsServer} is one. */
export interface TestServer {
  readonly url: string;
}

type Logger = NonNullable<Parameters<typeof NestFactory.createApplicationContext>[1]>['logger'];

/** Options of {@link FlowTestApp.start}. */
export interface FlowTestOptions {
  /** A server that is there; it is left running. @default an embedded one, started and stopped with the application */
  readonly server?: TestServer;
  /** What Nest and the flows may say. @default ['warn', 'error', 'fatal'] */
  readonly logger?: Logger;
}

/** Options of {@link FlowTestApp.run}. */
export interface FlowTestRunOptions extends StartOptions {
  /** How long the run may take. @default '10s' */
  readonly timeout?: Duration;
}

/**
 * A Nest application with flows, for tests:
 *
 * ```ts
 * await using app = await FlowTestApp.start((server) => ({
 *   imports: [FlowModule.forRoot({ servers: server.url })],
 *   providers: [OrderFlow],
 * }));
 * expect(await app.run(Orders, order)).toEqual(receipt);
 * ```
 *
 * To replace providers by others, make the application with `@nestjs/testing` and hand it to {@link FlowTestApp.of}.
 * Applications on one server share its streams: give each test run ids of its own, or each file a server.
 */
export class FlowTestApp implements AsyncDisposable {
  #closing: Promise<void> | undefined;

  private constructor(
    /** The application itself. */
    readonly nest: INestApplicationContext,
    private readonly ownServer: EmbeddedNatsServer | undefined,
  ) {}

  /**
   * Starts an application; when the promise resolves its steps are being fed.
   *
   * @param setup gives the application's root module for the server
   * @throws EmbeddedServerError when no server can be started; else what the application's boot throws.
   */
  static async start(
    setup: (server: TestServer) => ModuleMetadata,
    options: FlowTestOptions = {},
  ): Promise<FlowTestApp> {
    let ownServer: EmbeddedNatsServer | undefined;
    const server = options.server ?? (ownServer = await EmbeddedNatsServer.start());
    try {
      const nest = await NestFactory.createApplicationContext(
        { module: FlowTestModule, ...setup(server) },
        { abortOnError: false, logger: options.logger ?? ['warn', 'error', 'fatal'] },
      );
      return new FlowTestApp(nest, ownServer);
    } catch (error) {
      await ownServer?.stop();
      throw error;
    }
  }

  /** The same handle for an application that was made elsewhere and is initialised; closing the one closes the other. */
  static of(nest: INestApplicationContext): FlowTestApp {
    return new FlowTestApp(nest, undefined);
  }

  /** A provider of the application, whichever module it is in. */
  get<T>(token: InjectionToken<T>): T {
    return this.nest.get<T>(token);
  }

  /**
   * Starts a run over the default connection and waits for its result. The flow must be tracked.
   *
   * @throws RunFailedError when a step gave its message up, RunCancelledError when somebody cancelled the run.
   * @throws WaitTimeoutError when it has not ended in time; the message says where it stands.
   */
  async run<I extends MessageSchema, O extends MessageSchema>(
    contract: FlowContract<I, O>,
    input: MessageOf<I>,
    { timeout = '10s', ...options }: FlowTestRunOptions = {},
  ): Promise<MessageOf<O> | undefined> {
    const timeoutMs = toMilliseconds(timeout);
    const run = await this.get(FlowClient).start(contract, input, options);
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      return await run.result({ signal: AbortSignal.any([deadline, ...(options.signal ? [options.signal] : [])]) });
    } catch (error) {
      if (!(error instanceof CancelledError) || !deadline.aborted) throw error;
      throw new WaitTimeoutError(
        `Run "${run.runId}" of flow "${contract.name}" did not end within ${timeoutMs} ms: ${await describe(run)}`,
        { cause: error },
      );
    }
  }

  /** See {@link eventually}. */
  eventually<T>(condition: () => T | Promise<T>, options: EventuallyOptions): Promise<NonNullable<T>> {
    return eventually(condition, options);
  }

  /** Shuts the application down as in production, then its own server. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      await this.nest.close();
    } finally {
      await this.ownServer?.stop();
    }
  }
}

/** Takes the metadata of the application under test. */
@Module({})
class FlowTestModule {}

async function describe(run: FlowRun<unknown>): Promise<string> {
  const { state, pending, steps } = await run.status();
  const ended = steps.map(({ step }) => step).join(', ');
  const messages = pending === 1 ? '1 message' : `${pending} messages`;
  return `it is ${state}, with ${messages} on the way${ended === '' ? '' : ` and these steps behind it: ${ended}`}.`;
}
