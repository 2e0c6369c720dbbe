/** What can be injected by its name. */
export type CoordinationTokenKind =
  | 'Mutex'
  | 'RateLimiter'
  | 'Semaphore'
  | 'ReadWriteLock'
  | 'LeaderElection'
  | 'Counter'
  | 'WaitGroup'
  | 'CountDownLatch'
  | 'Barrier'
  | 'IdGenerator';

/**
 * Injection token of the mutex, semaphore … of that name, as `forFeature` provides it.
 *
 * @param key of the connection. @default the connection without a key
 */
export function getCoordinationToken(kind: CoordinationTokenKind, name: string, key?: string): string {
  return `${kind}(${name})${key === undefined ? '' : `:${key}`}`;
}
