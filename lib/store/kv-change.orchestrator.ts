import type { BeforeApplicationShutdown, OnApplicationBootstrap, OnModuleInit } from '@nestjs/common';
import { ConfigurationError } from '../common/errors.js';
import { describeThrown } from '../common/describe-thrown.js';
import type { Log } from '../common/log.js';
import { failuresOf, oneFailure } from '../common/one-failure.js';
import type { AnyKvReducer } from './engine/kv-reducer.js';
import type { ObjectStore } from './engine/object-store.js';
import type { KeyEvent } from './engine/watch-events.js';
import type { WatchEvent } from './engine/store-entry.js';
import type { KvChangeExplorer, KvChangeMethod } from './kv-change.explorer.js';

/** What the orchestrator works with. */
export interface KvChangeParts {
  /** Key of its connection. */
  readonly connection: string | undefined;
  /** Keys of all connections of the application. */
  readonly connections: () => readonly (string | undefined)[];
  readonly explorer: KvChangeExplorer;
  /** How long the shutdown still waits for a call that runs. Milliseconds. */
  readonly remainingMs: () => number;
  readonly log: Log;
  /** Closes what stands on the connection, after a boot that failed. */
  readonly close: () => Promise<void>;
}

/** A method and the store it follows. */
interface Follower {
  readonly method: KvChangeMethod & { readonly instance: object };
  readonly store: ObjectStore<AnyKvReducer>;
}

/**
 * Calls the methods with `@OnKvChange` of one connection: found and checked when modules are initialised, from the
 * application's start until before its shutdown.
 */
export class KvChangeOrchestrator implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  private followers: Follower[] = [];
  private readonly running: Promise<void>[] = [];
  private readonly abort = new AbortController();

  constructor(private readonly parts: KvChangeParts) {}

  /** Key of its connection. */
  get connection(): string | undefined {
    return this.parts.connection;
  }

  /** @throws ConfigurationError with the problems of all methods. */
  async onModuleInit(): Promise<void> {
    const problems: string[] = [];
    for (const method of this.parts.explorer.explore()) {
      const found = this.check(method);
      if (typeof found === 'string') problems.push(`${method.where}: ${found}`);
      else if (found !== undefined) this.followers.push(found);
    }
    if (problems.length === 0) return;
    // Nothing of ours may keep the process alive after a failed boot.
    await this.parts.close();
    throw new ConfigurationError('@OnKvChange', problems);
  }

  /** When it resolves, every watch has begun: no later change is missed. */
  async onApplicationBootstrap(): Promise<void> {
    const failures = await failuresOf(this.followers.map((follower) => this.start(follower)));
    if (failures.length === 0) return;
    await this.stop();
    await this.parts.close();
    throw oneFailure('@OnKvChange', failures);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** What is wrong with the method, or whom to call; `undefined` when it is another connection's. */
  private check(method: KvChangeMethod): Follower | string | undefined {
    const { target, options, instance } = method;
    const { connection } = options;
    if (connection !== this.connection) {
      const known = this.parts.connections();
      if (known.includes(connection) || known[0] !== this.connection) return undefined;
      return `there is no connection ${connection === undefined ? 'without a key' : `"${connection}"`}; import FlowModule.forRoot for it`;
    }
    const store = this.parts.explorer.storeOf(target, connection);
    const key = connection === undefined ? '' : `, key: '${connection}'`;
    if (store === undefined)
      return `nobody provides the store of ${target.name}; import FlowModule.forFeature({ objects: [${target.name}]${key} })`;
    if (instance === undefined)
      return 'its class is request-scoped or transient, and a change belongs to no request; move the method to a provider of default scope';
    return { method: { ...method, instance }, store };
  }

  private async start({ method, store }: Follower): Promise<void> {
    const { key, from = 'new' } = method.options;
    let changes: AsyncGenerator<WatchEvent<unknown>, void, undefined>;
    try {
      changes = store.watch(key, { from, signal: this.abort.signal });
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      throw new ConfigurationError(`@OnKvChange on ${method.where}`, error.problems, { cause: error });
    }
    const first = await changes.next();
    const follow = async (): Promise<void> => {
      for (let next = first; next.done !== true; next = await changes.next()) {
        if (next.value.type !== 'caught-up') await this.call(method, next.value);
      }
    };
    const ended = follow().catch((error: unknown) => {
      this.report(`@OnKvChange on ${method.where} is told nothing any more`, error);
    });
    this.running.push(ended);
  }

  private async call({ instance, methodName, where }: Follower['method'], change: KeyEvent<unknown>): Promise<void> {
    try {
      const method = Reflect.get(instance, methodName) as (change: KeyEvent<unknown>) => unknown;
      await method.call(instance, change);
    } catch (error) {
      const { key, revision } = change;
      this.report(`@OnKvChange on ${where} failed for "${key.text}", revision ${revision}`, error);
    }
  }

  private async stop(): Promise<void> {
    this.abort.abort();
    const { remainingMs, log } = this.parts;
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<'overdue'>((resolve) => {
      timer = setTimeout(() => resolve('overdue'), remainingMs());
    });
    const outcome = await Promise.race([Promise.all(this.running), overdue]);
    clearTimeout(timer);
    if (outcome === 'overdue') log.warn('A method with @OnKvChange still runs when the time for the shutdown is over.');
  }

  private report(what: string, error: unknown): void {
    this.parts.log.error(`${what}: ${describeThrown(error)}`, error instanceof Error ? error.stack : undefined);
  }
}
