import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Context,
  type TextMapGetter,
  type TextMapSetter,
} from '@opentelemetry/api';

/** Headers that carry a trace from sender to receiver. The NATS client's `MsgHdrs` is one as it stands. */
export interface HeaderCarrier {
  /** First value of the header `name`, exact case; empty or `undefined` when there is none. */
  get(name: string): string | undefined;
  /** Replaces the values of the header. */
  set(name: string, value: string): void;
  /** Names of the headers that are there. */
  keys(): string[];
}

const setter: TextMapSetter<HeaderCarrier> = {
  set: (carrier, name, value) => carrier.set(name, value),
};

const getter: TextMapGetter<HeaderCarrier> = {
  keys: (carrier) => carrier.keys(),
  get: (carrier, name) => carrier.get(name) || getAnyCase(carrier, name),
};

// NATS headers are case sensitive, but senders that go through an HTTP-style carrier write `Traceparent`.
function getAnyCase(carrier: HeaderCarrier, name: string): string | undefined {
  const lower = name.toLowerCase();
  const actual = carrier.keys().find((key) => key.toLowerCase() === lower);
  return actual === undefined ? undefined : carrier.get(actual);
}

/**
 * Writes the trace of `ctx` into the headers, in the format of OpenTelemetry's global propagator (`traceparent`
 * by default). Nothing is written when no propagator is registered or `ctx` has no span.
 *
 * @param ctx @default the active context
 */
export function injectTrace(carrier: HeaderCarrier, ctx: Context = context.active()): void {
  // Without an SDK the active context is always the root: there is nothing to carry on.
  if (ctx !== ROOT_CONTEXT) propagation.inject(ctx, carrier, setter);
}

/**
 * The context that the sender wrote into the headers: a child of nothing else, in particular not of what happens
 * to be active where a message is received. `ROOT_CONTEXT` when there is none, or no propagator to read it.
 */
export function extractTrace(carrier: HeaderCarrier): Context {
  return propagation.extract(ROOT_CONTEXT, carrier, getter);
}

const BAGGAGE = 'baggage';
const W3C_TRACE: readonly string[] = ['traceparent', 'tracestate'];

/** Whether a header says which trace a message belongs to. Baggage is the sender's own data and does not. */
export function isTraceHeader(name: string): boolean {
  const lower = name.toLowerCase();
  if (lower === BAGGAGE) return false;
  return W3C_TRACE.includes(lower) || propagation.fields().some((field) => field.toLowerCase() === lower);
}
