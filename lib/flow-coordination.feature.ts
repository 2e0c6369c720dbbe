import type { FactoryProvider } from '@nestjs/common';
import { Coordination } from './coordination/coordination.js';
import { getCoordinationToken, type CoordinationTokenKind } from './coordination/nest/coordination.tokens.js';
import { checkCoordination } from './flow-coordination.check.js';
import type { CoordinationFeatureOptions } from './flow-coordination.feature.options.js';
import { FlowFeatureEnvironment } from './flow-feature.environment.js';
import { getFlowToken } from './flow.tokens.js';

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
  checkCoordination(options);
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
