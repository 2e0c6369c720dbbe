import type { CounterOptions } from './coordination/counter/counter.options.js';
import type { WaitGroupOptions } from './coordination/wait-group/wait-group.options.js';
import type { CountDownLatchOptions } from './coordination/latch/latch.options.js';
import type { BarrierOptions } from './coordination/barrier/barrier.options.js';
import type { IdGeneratorOptions } from './coordination/id-generator/id-generator.options.js';
import type { LeaderElectionOptions } from './coordination/election/election.options.js';
import type { MutexOptions } from './coordination/mutex/mutex.options.js';
import type { RateLimiterOptions } from './coordination/rate-limiter/rate-limiter.options.js';
import type { ReadWriteLockOptions } from './coordination/read-write-lock/read-write-lock.options.js';
import type { SemaphoreOptions } from './coordination/semaphore/semaphore.options.js';

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
