import { Inject } from '@nestjs/common';
import { getCoordinationToken } from './coordination.tokens.js';

type InjectDecorator = ParameterDecorator & PropertyDecorator;

/**
 * Injects the `Mutex` of that name. List it in `FlowModule.forFeature({ mutexes: [{ name }] })`.
 *
 * @param key of the connection that `forFeature` was given for it. @default the connection without a key
 * @example constructor(@InjectMutex('orders') private readonly orders: Mutex) {}
 */
export function InjectMutex(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('Mutex', name, key));
}

/**
 * Injects the `RateLimiter` of that name. List it in `FlowModule.forFeature({ rateLimiters: [{ name, limit, window }] })`.
 *
 * @param key of the connection that `forFeature` was given for it. @default the connection without a key
 * @example constructor(@InjectRateLimiter('api') private readonly limiter: RateLimiter) {}
 */
export function InjectRateLimiter(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('RateLimiter', name, key));
}

/** Injects the `Semaphore` of that name. List it in `FlowModule.forFeature({ semaphores: [{ name, permits }] })`. Otherwise as {@link InjectMutex}. */
export function InjectSemaphore(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('Semaphore', name, key));
}

/** Injects the `ReadWriteLock` of that name. List it in `FlowModule.forFeature({ readWriteLocks: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectReadWriteLock(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('ReadWriteLock', name, key));
}

/** Injects the `LeaderElection` of that name. List it in `FlowModule.forFeature({ elections: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectLeaderElection(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('LeaderElection', name, key));
}

/** Injects the `Counter` of that name. List it in `FlowModule.forFeature({ counters: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectCounter(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('Counter', name, key));
}

/** Injects the `WaitGroup` of that name. List it in `FlowModule.forFeature({ waitGroups: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectWaitGroup(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('WaitGroup', name, key));
}

/** Injects the `CountDownLatch` of that name. List it in `FlowModule.forFeature({ latches: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectCountDownLatch(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('CountDownLatch', name, key));
}

/** Injects the `Barrier` of that name. List it in `FlowModule.forFeature({ barriers: [{ name, parties }] })`. Otherwise as {@link InjectMutex}. */
export function InjectBarrier(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('Barrier', name, key));
}

/** Injects the `IdGenerator` of that name. List it in `FlowModule.forFeature({ idGenerators: [{ name }] })`. Otherwise as {@link InjectMutex}. */
export function InjectIdGenerator(name: string, key?: string): InjectDecorator {
  return Inject(getCoordinationToken('IdGenerator', name, key));
}
