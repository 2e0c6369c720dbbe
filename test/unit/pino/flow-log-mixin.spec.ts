import { trace } from '@opentelemetry/api';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from 'nestjs-jetstream-flow';
import { flowLogger, flowLogMixin } from 'nestjs-jetstream-flow/pino';
import { runWithLogFields } from '../../../lib/telemetry/log-context.js';
import { LogLines } from '../../support/log-lines.js';
import { recordTelemetry, type RecordedTelemetry } from '../../support/telemetry.js';

const fields = { flow: 'orders', step: 'price', runId: 'r1', attempt: 2 };
const ADDED = ['flow', 'step', 'runId', 'attempt', 'trace_id', 'span_id'];

describe('flowLogMixin', () => {
  let telemetry: RecordedTelemetry;

  beforeEach(() => {
    telemetry = recordTelemetry();
  });

  afterEach(() => telemetry[Symbol.asyncDispose]());

  it('adds step and span to a line inside both', () => {
    const written = new LogLines();
    const logger = pino({ mixin: flowLogMixin() }, written);
    const span = trace.getTracer('test').startActiveSpan('step', (active) => {
      runWithLogFields(fields, () => logger.info('inside'));
      active.end();
      return active.spanContext();
    });
    expect(written.get('inside')).toMatchObject({ ...fields, trace_id: span.traceId, span_id: span.spanId });
  });

  it('adds what there is: only the step, only the span, nothing', () => {
    const written = new LogLines();
    const logger = pino({ mixin: flowLogMixin() }, written);
    logger.info('outside');
    runWithLogFields(fields, () => logger.info('step'));
    trace.getTracer('test').startActiveSpan('request', (span) => {
      logger.info('span');
      span.end();
    });
    const added = (message: string) => ADDED.filter((name) => name in written.get(message));
    expect(added('outside')).toEqual([]);
    expect(added('step')).toEqual(['flow', 'step', 'runId', 'attempt']);
    expect(added('span')).toEqual(['trace_id', 'span_id']);
  });

  it("keeps the user's mixin, with its arguments, and goes before it", () => {
    const written = new LogLines();
    const seen: unknown[] = [];
    const own = (mergeObject: object, level: number, logger: unknown): object => {
      seen.push(mergeObject, level, logger);
      return { tenant: 'acme', step: 'of the user' };
    };
    const logger = pino({ mixin: flowLogMixin(own) }, written);
    runWithLogFields(fields, () => logger.warn({ order: 7 }, 'inside'));
    expect(written.get('inside')).toMatchObject({ ...fields, tenant: 'acme', order: 7 });
    expect(seen[0]).toMatchObject({ order: 7 });
    expect(seen.slice(1)).toEqual([40, logger]);
  });

  it('leaves the object that a mixin returns each time unchanged', () => {
    const shared = { tenant: 'acme' };
    const logger = pino({ mixin: flowLogMixin(() => shared) }, new LogLines());
    runWithLogFields(fields, () => logger.info({ order: 7 }, 'inside'));
    expect(shared).toEqual({ tenant: 'acme' });
  });

  it('adds to the lines of child loggers', () => {
    const written = new LogLines();
    const logger = pino({ mixin: flowLogMixin() }, written).child({ context: 'OrderFlow' });
    runWithLogFields(fields, () => logger.info('inside'));
    expect(written.get('inside')).toMatchObject({ ...fields, context: 'OrderFlow' });
  });
});

describe('flowLogger', () => {
  it('keeps all other parameters', () => {
    const params = flowLogger({ renameContext: 'where', pinoHttp: { level: 'debug', autoLogging: false } });
    expect(params).toEqual({
      renameContext: 'where',
      pinoHttp: { level: 'debug', autoLogging: false, mixin: expect.any(Function) as unknown },
    });
  });

  it('takes each form of pinoHttp', () => {
    const destination = new LogLines();
    const withMixin = { mixin: expect.any(Function) as unknown };
    expect(flowLogger().pinoHttp).toEqual(withMixin);
    expect(flowLogger({ pinoHttp: destination }).pinoHttp).toEqual([withMixin, destination]);
    expect(flowLogger({ pinoHttp: [{ level: 'warn' }, destination] }).pinoHttp).toEqual([
      { level: 'warn', ...withMixin },
      destination,
    ]);
  });

  it('refuses a logger that takes no mixin any more, and says what to do', () => {
    expect(() => flowLogger({ pinoHttp: { logger: pino(new LogLines()) } })).toThrow(ConfigurationError);
    expect(() => flowLogger({ pinoHttp: { logger: pino(new LogLines()) } })).toThrow('flowLogMixin()');
  });
});
