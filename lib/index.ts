export { FlowModule } from './flow.module.js';
export type {
  FlowConnectionKey,
  FlowModuleAsyncOptions,
  FlowModuleOptions,
  FlowOptionsFactory,
} from './flow.module.options.js';
export { flowOptionsFromEnv } from './flow-options-from-env.js';
export type { FlowFeatureOptions } from './flow.feature.js';
export { getFlowToken, InjectFlow } from './flow.tokens.js';

export { flow } from './flow/contract.js';
export type { FlowContract, FlowContractOptions, TrackLevel } from './flow/contract.js';
export { Flow } from './flow/decorators/flow.decorator.js';
export { FlowStep } from './flow/decorators/flow-step.decorator.js';
export type { FlowStepOptions } from './flow/decorators/flow-step.options.js';
export type { FlowContext, FlowMessage } from './flow/flow-context.js';
export { FLOW_CONTEXT_TYPE, flowRequestOf } from './flow/discovery/flow-context-type.js';
export type { FlowRequest } from './flow/discovery/step-handler.js';
export { custom, DEFAULT_RETRY, exponential, fixed } from './flow/retry-policy.js';
export type { ExponentialOptions, RetryDecision, RetryOptions, RetryPolicy } from './flow/retry-policy.js';
export { RetryLater } from './flow/retry-later.error.js';

export { FlowClient } from './flow/client/flow-client.js';
export type { StartOptions } from './flow/client/flow-client.js';
export type { Pause } from './flow/control/pause-control.js';
export type { ListedRun, RunFilter } from './flow/client/list-runs.js';
export { FlowRun } from './flow/client/flow-run.js';
export type { WaitOptions } from './flow/client/flow-run.js';
export type { RunFailure, RunStateName, RunStatus, RunStep } from './flow/runs/run-status.js';
export { DeadLetters } from './flow/dead-letters/dead-letters.js';
export type {
  DeadLetterEntry,
  DeadLetterError,
  DeadLetterFilter,
  DeadLetterReason,
} from './flow/dead-letters/dead-letters.js';
export type { FlowRuntimeOptions } from './flow/flow-runtime.options.js';

export { KvObject } from './store/kv-object.decorator.js';
export type { ReducerOf } from './store/kv-object.decorator.js';
export { InjectObjectStore } from './store/inject-object-store.decorator.js';
export { OnKvChange } from './store/on-kv-change.decorator.js';
export type { KvChangeMethodDecorator, OnKvChangeOptions } from './store/on-kv-change.decorator.js';
export { getObjectStoreToken } from './store/object-store.tokens.js';
export type { KvObjectClass } from './store/object-store.tokens.js';
export { ObjectStore } from './store/engine/object-store.js';
export type { BucketStatus, ListOptions, ReadOptions } from './store/engine/object-store.js';
export type { Modified } from './store/engine/modified.js';
export type { TransactionFunction } from './store/engine/transaction-function.js';
export type { TransactionOptions } from './store/engine/transactions.js';
export { REMOVED, UNCHANGED } from './store/engine/change.js';
export type {
  AnyKvReducer,
  Changed,
  InputOf,
  KeyOf,
  KeyParts,
  KeyPattern,
  KeyRef,
  KvReducer,
  StateOf,
} from './store/engine/kv-reducer.js';
export type { KvObjectOptions } from './store/engine/kv-object.options.js';
export type { WriteOptions } from './store/engine/operation-queue.js';
export type { Consistency } from './store/engine/bucket-reader.js';
export type { Migrate } from './store/engine/state-codec.js';
export type { StoreEntry, WatchEvent } from './store/engine/store-entry.js';
export type { WatchFrom } from './store/engine/bucket-watch.js';
export type { KeyEvent, WatchOptions } from './store/engine/watch-events.js';
export { StoreKey } from './store/engine/store-key.js';
export type { KeyPart } from './store/engine/store-key.js';

export { Coordination } from './coordination/coordination.js';
export type { Unnamed } from './coordination/coordination.js';
export type { CoordinationFeatureOptions } from './flow-coordination.feature.options.js';
export { getCoordinationToken } from './coordination/nest/coordination.tokens.js';
export type { CoordinationTokenKind } from './coordination/nest/coordination.tokens.js';
export {
  InjectBarrier,
  InjectCountDownLatch,
  InjectCounter,
  InjectIdGenerator,
  InjectLeaderElection,
  InjectMutex,
  InjectRateLimiter,
  InjectReadWriteLock,
  InjectSemaphore,
  InjectWaitGroup,
} from './coordination/nest/inject-coordination.decorators.js';
export type { Lease } from './coordination/lease/lease.js';
export type { AcquireOptions, LeaseOptions } from './coordination/lease/lease.options.js';
export { RateLimit } from './coordination/nest/rate-limit.decorator.js';
export type { RateLimitOptions } from './coordination/nest/rate-limit.decorator.js';
export { RateLimitException } from './coordination/nest/rate-limit.exception.js';
export { RateLimitGuard } from './coordination/nest/rate-limit.guard.js';
export { RateLimiter } from './coordination/rate-limiter/rate-limiter.js';
export type { RateLimitCallOptions } from './coordination/rate-limiter/rate-limiter.js';
export { MemoryRateLimiter } from './coordination/rate-limiter/memory-rate-limiter.js';
export type {
  DecisionSource,
  LimitStatus,
  RateLimitDecision,
} from './coordination/rate-limiter/rate-limit-decision.js';
export type { AlgorithmName } from './coordination/rate-limiter/algorithms/limit-algorithm.js';
export type {
  FallbackDecision,
  FallbackLimiter,
  RateLimiterOptions,
  RateLimiterSettings,
  RateLimitRule,
} from './coordination/rate-limiter/rate-limiter.options.js';
export { Mutex } from './coordination/mutex/mutex.js';
export type { MutexOptions } from './coordination/mutex/mutex.options.js';
export { Semaphore } from './coordination/semaphore/semaphore.js';
export type { SemaphoreOptions } from './coordination/semaphore/semaphore.options.js';
export { ReadWriteLock } from './coordination/read-write-lock/read-write-lock.js';
export type { ReadWriteLockOptions } from './coordination/read-write-lock/read-write-lock.options.js';
export { LeaderElection } from './coordination/election/leader-election.js';
export type { Leadership } from './coordination/election/leader-election.js';
export type { LeaderElectionOptions } from './coordination/election/election.options.js';
export { Counter } from './coordination/counter/counter.js';
export type { CounterOptions } from './coordination/counter/counter.options.js';
export { WaitGroup } from './coordination/wait-group/wait-group.js';
export type { WaitGroupOptions } from './coordination/wait-group/wait-group.options.js';
export { CountDownLatch } from './coordination/latch/count-down-latch.js';
export type { CountDownLatchOptions } from './coordination/latch/latch.options.js';
export { Barrier } from './coordination/barrier/barrier.js';
export type { ArriveOptions } from './coordination/barrier/barrier.js';
export type { BarrierOptions } from './coordination/barrier/barrier.options.js';
export { IdGenerator } from './coordination/id-generator/id-generator.js';
export type { IdGeneratorOptions } from './coordination/id-generator/id-generator.options.js';
export type { CountOptions, CountWaitOptions } from './coordination/count.options.js';
export { OnLeader, OnLeaderLost } from './coordination/nest/on-leader.decorator.js';
export type { LeaderMethodDecorator, OnLeaderOptions } from './coordination/nest/on-leader.decorator.js';

export { json } from './codec/message-schema.js';
export type { JsonSchema, MessageOf, MessageSchema } from './codec/message-schema.js';

export { FlowConnection } from './connection/flow-connection.js';
export type { ConnectionHealth } from './connection/flow-connection.js';
export type { ConnectionStatus } from './connection/connection-monitor.js';
export type { Publisher } from './connection/publisher.js';
export type { HeaderFields } from './connection/publish-headers.js';
export type { PublishOptions, PublishResult } from './connection/publish.options.js';
export type { ServerCapabilities, ServerFeature } from './connection/server-capabilities.js';
export type { ConnectionOptions, ConnectionTlsOptions } from './connection/connection.options.js';

export type { Duration } from './common/duration.js';
export type { Log } from './common/log.js';
export {
  CancelledError,
  ConfigurationError,
  ConflictError,
  ConnectionError,
  DecodeError,
  EncodeError,
  FlowError,
  JetStreamRequestError,
  MessageTooLargeError,
  NotFoundError,
  OperationTimeoutError,
  OutcomeUnknownError,
  OverloadedError,
  PublishTimeoutError,
  RateLimitedError,
  RedriveError,
  RunCancelledError,
  RunFailedError,
  ShutdownError,
  StepTimeoutError,
  TerminalError,
  UnsupportedByServerError,
  WrongLastSequenceError,
} from './common/errors.js';
export type { FlowErrorOptions } from './common/errors.js';
export { CountError } from './common/count.error.js';
export { LockLostError, LockTimeoutError } from './common/lock-errors.js';
