import { ConfigurationError } from './common/errors.js';
import { resolveBarrier } from './coordination/barrier/barrier.options.js';
import { resolveCounter } from './coordination/counter/counter.options.js';
import { resolveElection } from './coordination/election/election.options.js';
import { resolveIdGenerator } from './coordination/id-generator/id-generator.options.js';
import { resolveLatch } from './coordination/latch/latch.options.js';
import { resolveMutex } from './coordination/mutex/mutex.options.js';
import { resolveRateLimiter } from './coordination/rate-limiter/rate-limiter.options.js';
import { resolveReadWriteLock } from './coordination/read-write-lock/read-write-lock.options.js';
import { resolveSemaphore } from './coordination/semaphore/semaphore.options.js';
import { resolveWaitGroup } from './coordination/wait-group/wait-group.options.js';
import type { CoordinationFeatureOptions } from './flow-coordination.feature.options.js';

/**
 * Checks everything that a feature lists, where the module is imported: before a server is asked for anything.
 *
 * @throws ConfigurationError with every problem of all of it.
 */
export function checkCoordination(options: CoordinationFeatureOptions): void {
  const problems = [
    ...problemsOf('mutexes', options.mutexes, resolveMutex),
    ...problemsOf('semaphores', options.semaphores, resolveSemaphore),
    ...problemsOf('readWriteLocks', options.readWriteLocks, resolveReadWriteLock),
    ...problemsOf('elections', options.elections, resolveElection),
    ...problemsOf('counters', options.counters, resolveCounter),
    ...problemsOf('waitGroups', options.waitGroups, resolveWaitGroup),
    ...problemsOf('latches', options.latches, resolveLatch),
    ...problemsOf('barriers', options.barriers, resolveBarrier),
    ...problemsOf('idGenerators', options.idGenerators, resolveIdGenerator),
    ...problemsOf('rateLimiters', options.rateLimiters, resolveRateLimiter),
  ];
  if (problems.length > 0) throw new ConfigurationError('FlowModule.forFeature', problems);
}

function problemsOf<O extends { readonly name: string }>(
  list: string,
  all: readonly O[] | undefined,
  resolve: (options: O) => unknown,
): string[] {
  return (all ?? []).flatMap((options) => {
    try {
      resolve(options);
      return [];
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      return error.problems.map((problem) => `${list}, "${options.name}": ${problem}`);
    }
  });
}
