import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { CoordinationRoom, type CoordinationEnvironment } from './coordination-room.js';
import type { Counter } from './counter/counter.js';
import type { CounterOptions } from './counter/counter.options.js';
import { makeCounter } from './counter/make-counter.js';
import type { WaitGroup } from './wait-group/wait-group.js';
import type { WaitGroupOptions } from './wait-group/wait-group.options.js';
import { makeWaitGroup } from './wait-group/make-wait-group.js';
import type { CountDownLatch } from './latch/count-down-latch.js';
import type { CountDownLatchOptions } from './latch/latch.options.js';
import { makeLatch } from './latch/make-latch.js';
import type { Barrier } from './barrier/barrier.js';
import type { BarrierOptions } from './barrier/barrier.options.js';
import { makeBarrier } from './barrier/make-barrier.js';
import type { IdGenerator } from './id-generator/id-generator.js';
import type { IdGeneratorOptions } from './id-generator/id-generator.options.js';
import { makeIdGenerator } from './id-generator/make-id-generator.js';
import type { LeaderElectionOptions } from './election/election.options.js';
import type { LeaderElection } from './election/leader-election.js';
import { makeElection } from './election/make-election.js';
import { lazily } from './lazily.js';
import { makeMutex } from './mutex/make-mutex.js';
import type { Mutex } from './mutex/mutex.js';
import type { MutexOptions } from './mutex/mutex.options.js';
import { buildRateLimiter, makeRateLimiter } from './rate-limiter/make-rate-limiter.js';
import type { RateLimiter } from './rate-limiter/rate-limiter.js';
import type { RateLimiterOptions, ResolvedRateLimiter } from './rate-limiter/rate-limiter.options.js';
import { makeReadWriteLock } from './read-write-lock/make-read-write-lock.js';
import type { ReadWriteLock } from './read-write-lock/read-write-lock.js';
import type { ReadWriteLockOptions } from './read-write-lock/read-write-lock.options.js';
import { makeSemaphore } from './semaphore/make-semaphore.js';
import type { Semaphore } from './semaphore/semaphore.js';
import type { SemaphoreOptions } from './semaphore/semaphore.options.js';

/** Something that coordinates, under a name. */
interface Primitive {
  close(): Promise<void>;
}

/** A primitive and what it was made with. */
interface Made {
  readonly primitive: Primitive;
  readonly options: object;
}

/** Options of a primitive beside its name. */
export type Unnamed<Options> = Options extends unknown ? Omit<Options, 'name'> : never;

/**
 * Makes mutexes and the like by name, on one connection. Inject it, or what `FlowModule.forFeature` was told of by name.
 *
 * One instance per kind and name: whoever asks for the same one shares it. All processes that use a name use the same thing,
 * which is kept in a KV bucket of its own. The bucket is made at the first use, or at boot for what `forFeature` lists.
 */
export class Coordination {
  private readonly room: CoordinationRoom;
  private readonly made = new Map<string, Made>();
  private readonly elections = new Set<LeaderElection>();
  private standing = false;
  private closed: Promise<void> | undefined;

  /** @internal Made by the module. */
  constructor(environment: CoordinationEnvironment) {
    this.room = new CoordinationRoom(environment);
  }

  /**
   * The mutex of that name.
   *
   * @throws ConfigurationError when the options have problems, or it exists with other ones.
   */
  mutex(name: string, options?: Unnamed<MutexOptions>): Mutex {
    return this.share('Mutex', name, options, (all) => makeMutex(this.room, all));
  }

  /**
   * The rate limiter of that name. Whoever asks for it first gives its options.
   *
   * @throws ConfigurationError when the options have problems, or it exists with other ones.
   */
  rateLimiter(name: string, options?: Unnamed<RateLimiterOptions>): RateLimiter {
    return this.share('RateLimiter', name, options, (all) => makeRateLimiter(this.room, all));
  }

  /** The semaphore of that name; whoever asks for it first gives its options. @throws ConfigurationError as {@link mutex}. */
  semaphore(name: string, options?: Unnamed<SemaphoreOptions>): Semaphore {
    return this.share('Semaphore', name, options, (all) => makeSemaphore(this.room, all));
  }

  /** The read-write lock of that name. @throws ConfigurationError as {@link mutex}. */
  readWriteLock(name: string, options?: Unnamed<ReadWriteLockOptions>): ReadWriteLock {
    return this.share('ReadWriteLock', name, options, (all) => makeReadWriteLock(this.room, all));
  }

  /**
   * The election of that name. This process stands in it, from the application's start, or from now on when it has started.
   *
   * @throws ConfigurationError as {@link mutex}.
   */
  election(name: string, options?: Unnamed<LeaderElectionOptions>): LeaderElection {
    return this.share('LeaderElection', name, options, (all) => {
      const election = makeElection(this.room, all);
      this.elections.add(election);
      if (this.standing) election.stand();
      return election;
    });
  }

  /** The counter of that name. @throws ConfigurationError as {@link mutex}. */
  counter(name: string, options?: Unnamed<CounterOptions>): Counter {
    return this.share('Counter', name, options, (all) => makeCounter(this.room, all));
  }

  /** The wait group of that name. @throws ConfigurationError as {@link mutex}. */
  waitGroup(name: string, options?: Unnamed<WaitGroupOptions>): WaitGroup {
    return this.share('WaitGroup', name, options, (all) => makeWaitGroup(this.room, all));
  }

  /** The latch of that name. @throws ConfigurationError as {@link mutex}. */
  latch(name: string, options?: Unnamed<CountDownLatchOptions>): CountDownLatch {
    return this.share('CountDownLatch', name, options, (all) => makeLatch(this.room, all));
  }

  /** The barrier of that name; whoever asks for it first gives its options. @throws ConfigurationError as {@link mutex}. */
  barrier(name: string, options?: Unnamed<BarrierOptions>): Barrier {
    return this.share('Barrier', name, options, (all) => makeBarrier(this.room, all));
  }

  /** The id generator of that name. @throws ConfigurationError as {@link mutex}. */
  idGenerator(name: string, options?: Unnamed<IdGeneratorOptions>): IdGenerator {
    return this.share('IdGenerator', name, options, (all) => makeIdGenerator(this.room, all));
  }

  /** @internal The application has started. */
  standForElections(): void {
    this.standing = true;
    for (const election of this.elections) election.stand();
  }

  /** @internal The application stops: hands over, and resolves when others may lead. */
  async leaveElections(): Promise<void> {
    this.standing = false;
    await Promise.all([...this.elections].map((election) => election.close()));
  }

  /** @internal For adapters: what all of this logs to. */
  get log(): Log {
    return this.room.log;
  }

  /** @internal For adapters: makes something of their own on what all of this shares, at the first call. */
  open<T>(make: (room: CoordinationRoom) => Promise<T>): () => Promise<T> {
    return lazily(() => make(this.room));
  }

  /** @internal The limiter of a flow's step, in a bucket of its own. */
  stepRateLimiter(resolved: ResolvedRateLimiter, bucket: string): RateLimiter {
    return this.share('Rate of step', resolved.name, resolved, () => buildRateLimiter(this.room, resolved, bucket));
  }

  /** @internal The steps have drained: whoever still waits, such as a request, is told, and keeps the shutdown no longer. */
  stopWaiting(): void {
    this.room.stopWaiting();
  }

  /** Gives back what is held, ends what waits, and resolves when the server has it. Called by the module. */
  close(): Promise<void> {
    this.closed ??= this.closeAll();
    return this.closed;
  }

  private share<P extends Primitive, Options extends object>(
    kind: string,
    name: string,
    options: Options | undefined,
    make: (options: Options & { readonly name: string }) => P,
  ): P {
    if (this.closed !== undefined) throw new ConnectionError(`${kind} "${name}": the application stops.`);
    const id = `${kind} "${name}"`;
    const all = { ...options, name } as Options & { readonly name: string };
    const present = this.made.get(id);
    if (present === undefined) {
      const primitive = make(all);
      this.made.set(id, { primitive, options: all });
      return primitive;
    }
    // Made by this very method, of this kind.
    if (options === undefined || isDeepStrictEqual(present.options, all)) return present.primitive as P;
    throw new ConfigurationError(id, ['it is used with other options elsewhere; give them in one place']);
  }

  private async closeAll(): Promise<void> {
    this.room.stopWaiting();
    await Promise.all([...this.made.values()].map(({ primitive }) => primitive.close()));
    await this.room.close();
  }
}
