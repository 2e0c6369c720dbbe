import type { BeforeApplicationShutdown, OnApplicationBootstrap, OnModuleInit } from '@nestjs/common';
import { ConfigurationError } from '../../common/errors.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { didYouMean } from '../../common/did-you-mean.js';
import type { Log } from '../../common/log.js';
import type { Coordination } from '../coordination.js';
import type { TermListener } from '../election/leader-election.js';
import type { LeaderExplorer, LeaderMethod } from './leader.explorer.js';

/** What the orchestrator works with. */
export interface LeaderParts {
  /** Key of its connection. */
  readonly connection: string | undefined;
  /** Keys of all connections of the application. */
  readonly connections: () => readonly (string | undefined)[];
  readonly coordination: Coordination;
  readonly explorer: LeaderExplorer;
  /** How long the shutdown still waits for methods that run. Milliseconds. */
  readonly remainingMs: () => number;
  readonly log: Log;
  /** Closes what stands on the connection, after a boot that failed. */
  readonly close: () => Promise<void>;
}

/** A timer of Node that is longer fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

type FoundMethod = LeaderMethod & { readonly instance: object };

/**
 * Takes the elections of one connection through the application's life: this process stands from the application's start, and
 * hands over before its shutdown, while everything else still works.
 */
export class LeaderOrchestrator implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(private readonly parts: LeaderParts) {}

  /** Key of its connection. */
  get connection(): string | undefined {
    return this.parts.connection;
  }

  /** @throws ConfigurationError with the problems of all methods. */
  async onModuleInit(): Promise<void> {
    const problems: string[] = [];
    const names = this.parts.explorer.electionNames(this.connection);
    for (const method of this.parts.explorer.explore()) {
      const problem = this.take(method, names);
      if (problem !== undefined) problems.push(`${method.where}: ${problem}`);
    }
    if (problems.length === 0) return;
    await this.parts.close();
    throw new ConfigurationError('@OnLeader', problems);
  }

  onApplicationBootstrap(): void {
    this.parts.coordination.standForElections();
  }

  async beforeApplicationShutdown(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<'overdue'>((resolve) => {
      timer = setTimeout(() => resolve('overdue'), Math.min(this.parts.remainingMs(), LONGEST_TIMER_MS));
    });
    const outcome = await Promise.race([this.parts.coordination.leaveElections(), overdue]);
    clearTimeout(timer);
    if (outcome === 'overdue')
      this.parts.log.warn(
        'A method with @OnLeader or @OnLeaderLost still runs when the time for the shutdown is over.',
      );
  }

  /** What is wrong with the method; `undefined` when it is right, or another connection's. */
  private take(method: LeaderMethod, names: readonly string[]): string | undefined {
    const { election, options, instance } = method;
    const { connection } = options;
    if (connection !== this.connection) {
      const known = this.parts.connections();
      if (known.includes(connection) || known[0] !== this.connection) return undefined;
      return `there is no connection ${connection === undefined ? 'without a key' : `"${connection}"`}; import FlowModule.forRoot for it`;
    }
    if (instance === undefined)
      return 'its class is request-scoped or transient, and a term belongs to no request; move the method to a provider of default scope';
    if (!names.includes(election)) {
      const remedy = `import FlowModule.forFeature({ elections: [{ name: '${election}' }] })`;
      return `there is no election "${election}".${didYouMean(election, names)} Or ${remedy}`;
    }
    try {
      this.parts.coordination.election(election).listen(this.listenerOf({ ...method, instance }));
    } catch (error) {
      return describeThrown(error);
    }
    return undefined;
  }

  private listenerOf(method: FoundMethod): TermListener {
    return {
      begin: (lease) => (method.event === 'begin' ? this.call(method, [lease], lease.signal) : Promise.resolve()),
      end: () => (method.event === 'end' ? this.call(method, []) : Promise.resolve()),
    };
  }

  /** @param signal what the method throws when it aborts need not be told */
  private async call(method: FoundMethod, args: unknown[], signal?: AbortSignal): Promise<void> {
    const { instance, methodName, where, event } = method;
    try {
      const decorated = Reflect.get(instance, methodName) as (...args: unknown[]) => unknown;
      await decorated.apply(instance, args);
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) return;
      const decorator = event === 'begin' ? '@OnLeader' : '@OnLeaderLost';
      const stack = error instanceof Error ? error.stack : undefined;
      this.parts.log.error(`${decorator} on ${where} failed: ${describeThrown(error)}`, stack);
      throw error;
    }
  }
}
