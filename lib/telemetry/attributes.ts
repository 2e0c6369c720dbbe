/**
 * Names of span and metric attributes.
 *
 * The messaging and database names are OpenTelemetry's semantic conventions 1.45
 * (opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). They are copied, as the conventions' package
 * advises for names that are not stable yet: an import would tie our users to one version of 10 MB of constants.
 */
export const Attribute = {
  /** Deprecated in favour of `messaging.system.name` since 1.45, but what tracing back ends still group by. */
  messagingSystem: 'messaging.system',
  messagingSystemName: 'messaging.system.name',
  /** What NATS calls it: `publish`, `process`. */
  operationName: 'messaging.operation.name',
  /** What the conventions call it: `send`, `process`. */
  operationType: 'messaging.operation.type',
  /** The subject. */
  destination: 'messaging.destination.name',
  /** The subject without what differs from message to message. */
  destinationTemplate: 'messaging.destination.template',
  messageId: 'messaging.message.id',
  bodySize: 'messaging.message.body.size',

  databaseSystem: 'db.system.name',
  databaseOperation: 'db.operation.name',
  databaseCollection: 'db.collection.name',

  errorType: 'error.type',

  flow: 'flow.name',
  step: 'flow.step',
  runId: 'flow.run_id',
  attempt: 'flow.attempt',
  redelivered: 'flow.redelivered',
  outcome: 'flow.outcome',
  stream: 'flow.stream',
  streamSequence: 'flow.stream_sequence',
  storeKey: 'flow.store.key',
  lockKind: 'flow.lock.kind',
  lockName: 'flow.lock.name',
  lockKey: 'flow.lock.key',
  fencingToken: 'flow.lock.fencing_token',
  lockOutcome: 'flow.lock.outcome',
  waitKind: 'flow.coordination.kind',
  waitName: 'flow.coordination.name',
  waitKey: 'flow.coordination.key',
  waitOutcome: 'flow.coordination.outcome',
  connection: 'flow.connection.name',
  connectionStatus: 'flow.connection.status',
  limiter: 'flow.rate_limit.name',
  limiterSource: 'flow.rate_limit.source',
  limiterOutcome: 'flow.rate_limit.outcome',
} as const;

/** Value of `messaging.system` and `db.system.name`. */
export const NATS = 'nats';

/** Instrumentation scope of our tracer and meter. */
export const SCOPE = 'nestjs-jetstream-flow';
