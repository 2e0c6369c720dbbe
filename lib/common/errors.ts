/**
 * Every error of the library. They share one root, {@link FlowError}, and each says with its class what
 * happens next: a configuration error stops the boot, a {@link TerminalError} goes to the dead letters,
 * a {@link RetryLater} sets a delay, anything else follows the retry policy.
 */

/** What every library error accepts beside its message. */
export interface FlowErrorOptions {
  /** The error that led to this one; kept as `cause`. */
  readonly cause?: unknown;
}

/** A text of somebody else's, as the end of a sentence. */
function ended(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/**
 * Root of the library's errors. `code` is stable over releases and safe to switch on; `message` is for
 * people: what happened, where, and what to do.
 */
export class FlowError extends Error {
  /** Stable identifier of the kind of error, for programs. */
  readonly code: string;

  constructor(code: string, message: string, options: FlowErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * Options, decorators or the server's existing objects do not fit together. Thrown at boot with every
 * problem found, not only the first.
 */
export class ConfigurationError extends FlowError {
  /** One sentence per problem, in the order they were found. */
  readonly problems: readonly string[];

  constructor(where: string, problems: readonly string[], options: FlowErrorOptions = {}) {
    const list = problems.map((problem) => `\n  - ${problem}`).join('');
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    super('CONFIGURATION', `${where}: ${count}${list}`, options);
    this.problems = problems;
  }
}

/** The server could not be reached, or the connection is closed for good. */
export class ConnectionError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('CONNECTION', message, options);
  }
}

/**
 * The server did not acknowledge a publish, before its deadline. Whether the message was stored is not
 * known; repeat it only with an expected sequence or a message id.
 */
export class PublishTimeoutError extends FlowError {
  /** The subject published to. */
  readonly subject: string;

  constructor(subject: string, timeoutMs: number, options: FlowErrorOptions = {}) {
    super(
      'PUBLISH_TIMEOUT',
      `No acknowledgement for "${subject}" within ${timeoutMs} ms. Is a stream listening on the subject, ` +
        'and is the server reachable?',
      options,
    );
    this.subject = subject;
  }
}

/** The server did not confirm an acknowledgement in time. It may have taken it all the same. */
export class AckTimeoutError extends FlowError {
  constructor(subject: string, timeoutMs: number, options: FlowErrorOptions = {}) {
    super(
      'ACK_TIMEOUT',
      `The acknowledgement of a message of "${subject}" was not confirmed within ${timeoutMs} ms. ` +
        'Unless the server took it all the same, the message is delivered again after its ack wait.',
      options,
    );
  }
}

/** What the error of a refused request accepts. */
export interface JetStreamRequestErrorOptions extends FlowErrorOptions {
  /** See {@link JetStreamRequestError.repeated}. @default false */
  readonly repeated?: boolean;
}

/** The server refused a request; `apiCode` is JetStream's own error code. */
export class JetStreamRequestError extends FlowError {
  /** JetStream's error code, for example 10071. */
  readonly apiCode: number;
  /** The publish had been sent before, with unknown outcome: that attempt may be stored. Read the subject to know. */
  readonly repeated: boolean;

  constructor(message: string, apiCode: number, options: JetStreamRequestErrorOptions = {}) {
    super('JETSTREAM', message, options);
    this.apiCode = apiCode;
    this.repeated = options.repeated ?? false;
  }
}

/**
 * An expected sequence did not hold: somebody wrote to the subject first. When `repeated` is true that may have been
 * this very publish.
 */
export class WrongLastSequenceError extends JetStreamRequestError {
  /** The sequence the server says is the last one, where it says so. */
  readonly lastSequence: number | undefined;

  constructor(
    message: string,
    apiCode: number,
    details: { readonly repeated: boolean; readonly lastSequence?: number },
    options: FlowErrorOptions = {},
  ) {
    super(message, apiCode, { ...options, repeated: details.repeated });
    this.lastSequence = details.lastSequence;
  }
}

/** Another writer was there first: a compare-and-set lost as often as it may, or the place to write to is taken. */
export class ConflictError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('CONFLICT', message, options);
  }
}

/** Bytes could not be turned into the expected message type; retrying cannot help. */
export class DecodeError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('DECODE', message, options);
  }
}

/** A value could not be turned into bytes of the expected message type. */
export class EncodeError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('ENCODE', message, options);
  }
}

/** A step's handler ran longer than its `timeout`. Counts as a failed attempt. */
export class StepTimeoutError extends FlowError {
  constructor(step: string, timeoutMs: number) {
    super(
      'STEP_TIMEOUT',
      `Step "${step}" did not return within ${timeoutMs} ms. Raise the step's "timeout", or make the ` +
        'handler stop when ctx.signal aborts.',
    );
  }
}

/** The reason of `ctx.signal` when the application stops and its `shutdownTimeout` is over. */
export class ShutdownError extends FlowError {
  constructor(step: string) {
    super(
      'SHUTDOWN',
      `Step "${step}" was interrupted because the application stops; its message goes to another instance.`,
    );
  }
}

/** The message was delivered more often than any policy allows, and no handler came to an end. */
export class DeliveriesExhaustedError extends FlowError {
  constructor(step: string, deliveries: number) {
    super(
      'DELIVERIES_EXHAUSTED',
      `Step "${step}" got the message ${deliveries} times and came to no end with it: its process was killed each time, ` +
        'or its result could not be stored.',
    );
  }
}

/** Thrown by a handler: no retry, the message goes straight to the dead letters. */
export class TerminalError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('TERMINAL', message, options);
  }
}

/** The feature needs a newer nats-server than the one connected to. */
export class UnsupportedByServerError extends FlowError {
  constructor(feature: string, neededVersion: string, serverVersion: string) {
    super(
      'UNSUPPORTED_BY_SERVER',
      `${feature} needs nats-server ${neededVersion} or newer; this server is ${serverVersion}. ` +
        'Upgrade the server or turn the feature off.',
    );
  }
}

/** The operation was given up because its `AbortSignal` aborted; `cause` is the signal's reason. */
export class CancelledError extends FlowError {
  constructor(what: string, options: FlowErrorOptions = {}) {
    super('CANCELLED', `${what} was cancelled.`, options);
  }
}

/** A run ended in failure: a message of it lies in the dead letters. `cause` is what its step threw last. */
export class RunFailedError extends FlowError {
  /** The step that gave its message up. */
  readonly step: string;

  constructor(flow: string, runId: string, step: string, reason: string, options: FlowErrorOptions = {}) {
    super(
      'RUN_FAILED',
      `Run "${runId}" of flow "${flow}" failed at step "${step}": ${ended(reason)} See its dead letters; redrive ` +
        'continues it there.',
      options,
    );
    this.step = step;
  }
}

/** A run was cancelled before it ended. */
export class RunCancelledError extends FlowError {
  constructor(flow: string, runId: string, reason: string) {
    super('RUN_CANCELLED', `Run "${runId}" of flow "${flow}" was cancelled${reason ? `: ${ended(reason)}` : '.'}`);
  }
}

/** Something asked for does not exist: a run, a dead letter, a step, an entry. */
export class NotFoundError extends FlowError {
  constructor(message: string, options: FlowErrorOptions = {}) {
    super('NOT_FOUND', message, options);
  }
}

/** Some dead letters could not be redriven; they stay. */
export class RedriveError extends FlowError {
  /** The error of each of them, by the letter's id. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** How many were redriven. */
  readonly redriven: number;

  constructor(redriven: number, failures: ReadonlyMap<string, unknown>) {
    const [first] = failures;
    super(
      'REDRIVE',
      `${redriven} dead letters were redriven, ${failures.size} could not be; the first of those is "${first?.[0]}": ` +
        ended(String(first?.[1])),
      { cause: first?.[1] },
    );
    this.redriven = redriven;
    this.failures = failures;
  }
}

/** The message with its headers is larger than the server takes (`max_payload`); repeating it cannot help. */
export class MessageTooLargeError extends EncodeError {
  constructor(subject: string, bytes: number, maxBytes: number) {
    super(
      `A message of ${bytes} bytes (headers included) for "${subject}" exceeds the server's max_payload of ` +
        `${maxBytes} bytes. Store large data elsewhere and send a reference, or raise max_payload.`,
    );
  }
}

/**
 * The write was sent, but neither an answer nor what is stored now tells whether it was applied. Look at the
 * entry before repeating it, or use an idempotency key: with one, repeating is safe.
 */
export class OutcomeUnknownError extends FlowError {
  constructor(what: string, reason: string, options: FlowErrorOptions = {}) {
    super('OUTCOME_UNKNOWN', `${what} may or may not have been applied: ${ended(reason)}`, options);
  }
}

/** The operation did not come to an end within its timeout, and was not applied. */
export class OperationTimeoutError extends FlowError {
  constructor(what: string, timeoutMs: number, options: FlowErrorOptions = {}) {
    super('TIMEOUT', `${what} did not finish within ${timeoutMs} ms; it was not applied.`, options);
  }
}

/** More work waits than the configured limit allows; slow down, or raise the limit. */
export class OverloadedError extends FlowError {
  constructor(message: string) {
    super('OVERLOADED', message);
  }
}

/** A rate limiter denied what was asked for. */
export class RateLimitedError extends FlowError {
  /** Name of the limiter. */
  readonly limiter: string;
  /** Milliseconds after which it would be allowed, if nobody else uses anything. */
  readonly retryAfterMs: number;

  constructor(limiter: string, retryAfterMs: number) {
    super('RATE_LIMITED', `Rate limiter "${limiter}" denied it; try again in ${Math.ceil(retryAfterMs)} ms.`);
    this.limiter = limiter;
    this.retryAfterMs = retryAfterMs;
  }
}
