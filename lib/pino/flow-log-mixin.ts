import { isSpanContextValid, trace } from '@opentelemetry/api';
import { currentLogFields } from '../telemetry/log-context.js';

/** Pino's `mixin`: gives the fields that are added to a line. */
export type LogMixin<L> = (mergeObject: object, level: number, logger: L) => object;

/**
 * A `mixin` for pino that adds `flow`, `step`, `runId` and `attempt` to each line written inside a step, and
 * `trace_id` and `span_id` to each line written inside a span. For loggers that you make yourself; with
 * nestjs-pino's module {@link flowLogger} puts it in its place.
 *
 * @param own your own mixin: its fields are added too, except where they have one of these names
 */
export function flowLogMixin(): LogMixin<unknown>;
export function flowLogMixin<L>(own: LogMixin<L> | undefined): LogMixin<NoInfer<L>>;
export function flowLogMixin<L>(own?: LogMixin<L>): LogMixin<L> {
  // From now on steps keep their fields for whoever reads them.
  currentLogFields();
  return (mergeObject, level, logger) => {
    // Pino keeps and changes what a mixin returns, so the object must be a new one for each line.
    const fields: Record<string, unknown> = { ...own?.(mergeObject, level, logger) };
    const step = currentLogFields();
    if (step !== undefined) {
      fields.flow = step.flow;
      fields.step = step.step;
      fields.runId = step.runId;
      fields.attempt = step.attempt;
    }
    const span = trace.getActiveSpan()?.spanContext();
    if (span !== undefined && isSpanContextValid(span)) {
      fields.trace_id = span.traceId;
      fields.span_id = span.spanId;
    }
    return fields;
  };
}
