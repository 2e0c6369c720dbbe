import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import { describeThrown, textOf } from '../common/describe-thrown.js';
import { FlowError } from '../common/errors.js';
import { Attribute, NATS } from './attributes.js';
import type { LogFields } from './log-context.js';
import { extractTrace, injectTrace, type HeaderCarrier } from './propagation.js';
import { registeredTracer } from './registered-tracer.js';

/** A message about to be published. */
export interface PublishedMessage {
  readonly subject: string;
  /** The subject without run ids and indexes: names the span, so it must be one of few. @default subject */
  readonly destination?: string;
  readonly data: Uint8Array;
  /** The trace is written into these headers. */
  readonly headers: HeaderCarrier | undefined;
  readonly messageId?: string;
}

/** A delivered message. `Delivery` is one as it stands. */
export interface ProcessedMessage {
  readonly subject: string;
  readonly stream: string;
  readonly sequence: number;
  readonly redelivered: boolean;
  readonly data: Uint8Array;
  /** The sender's trace is read from these headers. */
  readonly headers: HeaderCarrier | undefined;
}

/** What a state object's operation works on. */
export interface StoreTarget {
  readonly bucket: string;
  readonly key?: string;
}

/** What is waited for or held. */
export interface LockTarget {
  /** `Mutex`, `Semaphore` … */
  readonly kind: string;
  readonly name: string;
  readonly key: string;
  readonly fencingToken?: number;
}

/** What others are waited for at. */
export interface WaitTarget {
  /** `WaitGroup`, `Barrier` … */
  readonly kind: string;
  readonly name: string;
  readonly key: string;
}

/** Work done inside a span. `span` is `undefined` when nothing traces. */
export type Traced<T> = (span: Span | undefined) => Promise<T>;

/**
 * Spans of the library, one instance per module. With no OpenTelemetry SDK registered each method only calls `fn`.
 * The SDK may be registered before or after the instance is made; it may not be exchanged later.
 *
 * In every method: the span is active while `fn` runs, ends when its promise settles, and carries an error of `fn`
 * as exception, `error.type` and status. The error itself goes on to the caller.
 */
export class FlowTracer {
  private tracer: Tracer | undefined;

  /** @param provider where spans go. @default OpenTelemetry's global provider */
  constructor(private readonly provider?: TracerProvider) {}

  /** Producer span `publish <destination>` around a publish; writes the trace into the message's headers. */
  publish<T>(message: PublishedMessage, fn: Traced<T>): Promise<T> {
    const tracer = this.activeTracer();
    if (tracer === undefined) {
      // A context without a span of ours may still carry the trace of the message being processed.
      if (message.headers !== undefined) injectTrace(message.headers);
      return fn(undefined);
    }
    const parent = context.active();
    const destination = message.destination ?? message.subject;
    const span = tracer.startSpan(
      `publish ${destination}`,
      { kind: SpanKind.PRODUCER, attributes: publishAttributes(message, destination) },
      parent,
    );
    const inside = trace.setSpan(parent, span);
    if (message.headers !== undefined) injectTrace(message.headers, inside);
    return runInside(inside, span, fn);
  }

  /**
   * Consumer span `process <flow>.<step>` around a handler. Its parent is the span that published the message.
   *
   * @param links further messages that led here, as a merge or a batch has them
   */
  process<T>(
    fields: LogFields,
    message: ProcessedMessage,
    fn: Traced<T>,
    links?: readonly HeaderCarrier[],
  ): Promise<T> {
    const parent = message.headers === undefined ? ROOT_CONTEXT : extractTrace(message.headers);
    const tracer = this.activeTracer();
    if (tracer === undefined) {
      return parent === ROOT_CONTEXT ? fn(undefined) : context.with(parent, fn, undefined, undefined);
    }
    const span = tracer.startSpan(
      `process ${fields.flow}.${fields.step}`,
      { kind: SpanKind.CONSUMER, attributes: processAttributes(fields, message), links: linksTo(links) },
      parent,
    );
    return runInside(trace.setSpan(parent, span), span, fn);
  }

  /** Client span `<operation> <bucket>` around an operation on a state object. */
  storeOperation<T>(operation: string, target: StoreTarget, fn: Traced<T>): Promise<T> {
    const tracer = this.activeTracer();
    if (tracer === undefined) return fn(undefined);
    const parent = context.active();
    const span = tracer.startSpan(
      `${operation} ${target.bucket}`,
      { kind: SpanKind.CLIENT, attributes: storeAttributes(operation, target) },
      parent,
    );
    return runInside(trace.setSpan(parent, span), span, fn);
  }

  /** Whether an SDK is registered: then spans are made, and without it nothing is. */
  get isActive(): boolean {
    return this.activeTracer() !== undefined;
  }

  /** Internal span `<operation> <kind> <name>` around the wait for a lease (`acquire`), or what is done under it (`hold`). */
  lock<T>(operation: 'acquire' | 'hold', target: LockTarget, fn: Traced<T>): Promise<T> {
    const tracer = this.activeTracer();
    if (tracer === undefined) return fn(undefined);
    const span = startInternal(tracer, `${operation} ${target.kind} ${target.name}`, lockAttributes(target));
    return runInside(trace.setSpan(context.active(), span), span, fn);
  }

  /**
   * Internal span `hold <kind> <name>` of a lease that somebody else gives back: end it with the lease. It is active nowhere, since
   * nobody knows what is done under the lease. `undefined` when nothing traces.
   */
  startHold(target: LockTarget): Span | undefined {
    const tracer = this.activeTracer();
    if (tracer === undefined) return undefined;
    return startInternal(tracer, `hold ${target.kind} ${target.name}`, lockAttributes(target));
  }

  /** Internal span `wait <kind> <name>` around the wait for others. */
  wait<T>(target: WaitTarget, fn: Traced<T>): Promise<T> {
    const tracer = this.activeTracer();
    if (tracer === undefined) return fn(undefined);
    const span = startInternal(tracer, `wait ${target.kind} ${target.name}`, waitAttributes(target));
    return runInside(trace.setSpan(context.active(), span), span, fn);
  }

  /** The SDK's tracer; `undefined` as long as none is registered, so that no attributes are put together for nothing. */
  private activeTracer(): Tracer | undefined {
    return (this.tracer ??= registeredTracer(this.provider));
  }
}

function startInternal(tracer: Tracer, name: string, attributes: Attributes): Span {
  return tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes }, context.active());
}

function runInside<T>(inside: Context, span: Span, fn: Traced<T>): Promise<T> {
  return context.with(inside, runAndEnd<T>, undefined, span, fn);
}

async function runAndEnd<T>(span: Span, fn: Traced<T>): Promise<T> {
  try {
    return await fn(span);
  } catch (error) {
    recordError(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Marks a span as failed with an error that does not leave the traced function. */
export function recordError(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  const exception = describeException(error);
  span.recordException(exception);
  span.setAttribute(Attribute.errorType, error instanceof FlowError ? error.code : exception.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: exception.message });
}

function describeException(error: unknown): { name: string; message: string; stack?: string } {
  if (!(error instanceof Error)) return { name: 'Error', message: describeThrown(error) };
  return {
    name: textOf(() => error.name),
    message: textOf(() => error.message),
    stack: textOf(() => error.stack ?? ''),
  };
}

function linksTo(carriers: readonly HeaderCarrier[] | undefined): Link[] | undefined {
  return carriers?.flatMap((carrier) => {
    const linked = trace.getSpanContext(extractTrace(carrier));
    return linked === undefined ? [] : [{ context: linked }];
  });
}

function publishAttributes(message: PublishedMessage, destination: string): Attributes {
  return {
    [Attribute.messagingSystem]: NATS,
    [Attribute.messagingSystemName]: NATS,
    [Attribute.operationName]: 'publish',
    [Attribute.operationType]: 'send',
    [Attribute.destination]: message.subject,
    [Attribute.destinationTemplate]: destination,
    [Attribute.bodySize]: message.data.byteLength,
    [Attribute.messageId]: message.messageId,
  };
}

function processAttributes(fields: LogFields, message: ProcessedMessage): Attributes {
  return {
    [Attribute.messagingSystem]: NATS,
    [Attribute.messagingSystemName]: NATS,
    [Attribute.operationName]: 'process',
    [Attribute.operationType]: 'process',
    [Attribute.destination]: message.subject,
    [Attribute.bodySize]: message.data.byteLength,
    [Attribute.flow]: fields.flow,
    [Attribute.step]: fields.step,
    [Attribute.runId]: fields.runId,
    [Attribute.attempt]: fields.attempt,
    [Attribute.redelivered]: message.redelivered,
    [Attribute.stream]: message.stream,
    [Attribute.streamSequence]: message.sequence,
  };
}

function storeAttributes(operation: string, target: StoreTarget): Attributes {
  return {
    [Attribute.databaseSystem]: NATS,
    [Attribute.databaseOperation]: operation,
    [Attribute.databaseCollection]: target.bucket,
    [Attribute.storeKey]: target.key,
  };
}

function lockAttributes({ kind, name, key, fencingToken }: LockTarget): Attributes {
  return {
    [Attribute.lockKind]: kind,
    [Attribute.lockName]: name,
    [Attribute.lockKey]: key,
    [Attribute.fencingToken]: fencingToken,
  };
}

function waitAttributes({ kind, name, key }: WaitTarget): Attributes {
  return { [Attribute.waitKind]: kind, [Attribute.waitName]: name, [Attribute.waitKey]: key };
}
