import type { FactoryProvider } from '@nestjs/common';
import { Coordination } from './coordination/coordination.js';
import type { CounterOptions } from './coordination/counter/counter.options.js';
import type { WaitGroupOptions } from './coordination/wait-group/wait-group.options.js';
import type { CountDownLatchOptions } from './coordination/latch/latch.options.js';
import type { BarrierOptions } from './coordination/barrier/barrier.options.js';
import type { IdGeneratorOptions } from './coordination/id-generator/id-generator.options.js';
import type { LeaderElectionOptions } from './coordination/election/election.options.js';
import type { MutexOptions } from './coordination/mutex/mutex.options.js';
import { checkRateLimiters, type RateLimiterOptions } from './coordination/rate-limiter/rate-limiter.options.js';
import { getCoordinationToken, type CoordinationTokenKind } from './coordination/nest/coordination.tokens.js';
import type { ReadWriteLockOptions } from './coordination/read-write-lock/read-write-lock.options.js';
import type { SemaphoreOptions } from './coordination/semaphore/semaphore.options.js';
import { FlowFeatureEnvironment } from './flow-feature.environment.js';
import { getFlowToken } from './flow.tokens.js';

/** What `FlowModule.forFeature` makes injectable for coordination between processes. */
export interface CoordinationFeatureOptions {
  /** Injected with `@InjectMutex(name, key)`. */
  readonly mutexes?: readonly MutexOptions[];
  /** Injected with `@InjectSemaphore(name, key)`. */
  readonly semaphores?: readonly SemaphoreOptions[];
  /** Injected with `@InjectReadWriteLock(name, key)`. */
  readonly readWriteLocks?: readonly ReadWriteLockOptions[];
  /** Injected with `@InjectLeaderElection(name, key)`, and used by name in `@OnLeader(name)`. */
  readonly elections?: readonly LeaderElectionOptions[];
  /** Injected with `@InjectCounter(name, key)`. */
  readonly counters?: readonly CounterOptions[];
  /** Injected with `@InjectWaitGroup(name, key)`. */
  readonly waitGroups?: readonly WaitGroupOptions[];
  /** Injected with `@InjectCountDownLatch(name, key)`. */
  readonly latches?: readonly CountDownLatchOptions[];
  /** Injected with `@InjectBarrier(name, key)`. */
  readonly barriers?: readonly BarrierOptions[];
  /** Injected with `@InjectIdGenerator(name, key)`. */
  readonly idGenerators?: readonly IdGeneratorOptions[];
  /** Injected with `@InjectRateLimiter(name, key)`, and used by name in `@RateLimit(name)`. */
  readonly rateLimiters?: readonly RateLimiterOptions[];
}

/** The providers of what a feature lists. Their buckets are made at boot. */
export function coordinationProviders(options: CoordinationFeatureOptions, key: string | undefined): FactoryProvider[] {
  const provide = <O extends { readonly name: string }>(
    kind: CoordinationTokenKind,
    list: readonly O[] | undefined,
    make: (coordination: Coordination, options: O) => { ready(): Promise<void> },
  ): FactoryProvider[] =>
    (list ?? []).map((one) => ({
      provide: getCoordinationToken(kind, one.name, key),
      useFactory: (coordination: Coordination, { boot }: FlowFeatureEnvironment) =>
        boot.part(async () => {
          const made = make(coordination, one);
          await made.ready();
          return made;
        }),
      inject: [getFlowToken(Coordination, key), getFlowToken(FlowFeatureEnvironment, key)],
    }));
  checkRateLimiters(options.rateLimiters ?? []);
  return [
    ...provide('Mutex', options.mutexes, (coordination, { name, ...rest }) => coordination.mutex(name, rest)),
    ...provide('Semaphore', options.semaphores, (coordination, { name, ...rest }) =>
      coordination.semaphore(name, rest),
    ),
    ...provide('ReadWriteLock', options.readWriteLocks, (coordination, { name, ...rest }) =>
      coordination.readWriteLock(name, rest),
    ),
    ...provide('LeaderElection', options.elections, (coordination, { name, ...rest }) =>
      coordination.election(name, rest),
    ),
    ...provide('Counter', options.counters, (coordination, { name, ...rest }) => coordination.counter(name, rest)),
    ...provide('WaitGroup', options.waitGroups, (coordination, { name, ...rest }) =>
      coordination.waitGroup(name, rest),
    ),
    ...provide('CountDownLatch', options.latches, (coordination, { name, ...rest }) => coordination.latch(name, rest)),
    ...provide('Barrier', options.barriers, (coordination, { name, ...rest }) => coordination.barrier(name, rest)),
    ...provide('IdGenerator', options.idGenerators, (coordination, { name, ...rest }) =>
      coordination.idGenerator(name, rest),
    ),
    ...provide('RateLimiter', options.rateLimiters, (coordination, { name, ...rest }) =>
      coordination.rateLimiter(name, rest),
    ),
  ];
}
