import { Injectable, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LoggerModule, Logger as NestPinoLogger, PinoLogger } from 'nestjs-pino';
import { describe, expect, it } from 'vitest';
import { flowLogger } from 'nestjs-jetstream-flow/pino';
import { runWithLogFields, type LogFields } from '../../../lib/telemetry/log-context.js';
import { FlowTracer } from '../../../lib/telemetry/tracer.js';
import { LogLines } from '../../support/log-lines.js';
import { recordTelemetry } from '../../support/telemetry.js';

const written = new LogLines();

@Injectable()
class OrderFlow {
  private readonly nestLogger = new Logger(OrderFlow.name);

  constructor(private readonly pinoLogger: PinoLogger) {}

  async price(label: string): Promise<void> {
    this.nestLogger.log(`${label}: Nest logger`);
    await Promise.resolve();
    this.pinoLogger.info(`${label}: PinoLogger`);
    await new Promise((resolve) => setImmediate(resolve));
    this.nestLogger.error(`${label}: error`, new Error('boom').stack, OrderFlow.name);
  }
}

@Module({
  imports: [LoggerModule.forRoot(flowLogger({ pinoHttp: [{ mixin: () => ({ service: 'shop' }) }, written] }))],
  providers: [OrderFlow],
})
class AppModule {}

describe('flowLogger in a Nest application context without HTTP', () => {
  it('names step and span on every line inside a step, and on no other', async () => {
    await using telemetry = recordTelemetry();
    const app = await NestFactory.createApplicationContext(AppModule, { bufferLogs: true });
    app.useLogger(app.get(NestPinoLogger));
    const orders = app.get(OrderFlow);
    const tracer = new FlowTracer();
    const message = { subject: 's', stream: 'S', sequence: 1, redelivered: false, data: new Uint8Array() };
    const inStep = (runId: string): Promise<void> => {
      const fields: LogFields = { flow: 'orders', step: 'price', runId, attempt: 1 };
      return runWithLogFields(fields, () =>
        tracer.process(fields, { ...message, headers: undefined }, () => orders.price(runId)),
      );
    };

    // At once, so that a field of the wrong run would show.
    const runIds = Array.from({ length: 10 }, (_, index) => `run-${index}`);
    await Promise.all([orders.price('outside'), ...runIds.map(inStep)]);
    await app.close();

    const spans = new Map(telemetry.spans().map((span) => [span.attributes['flow.run_id'], span.spanContext()]));
    for (const runId of runIds) {
      const span = spans.get(runId)!;
      for (const line of ['Nest logger', 'PinoLogger'].map((logger) => written.get(`${runId}: ${logger}`))) {
        expect(line).toMatchObject({
          flow: 'orders',
          step: 'price',
          runId,
          attempt: 1,
          trace_id: span.traceId,
          span_id: span.spanId,
          service: 'shop',
        });
      }
    }
    const others = written.lines.filter((line) => !JSON.stringify(line).includes('run-'));
    expect(others.length).toBeGreaterThanOrEqual(3);
    for (const line of others) {
      expect(line).toMatchObject({ service: 'shop' });
      expect(line).not.toHaveProperty('flow');
      expect(line).not.toHaveProperty('trace_id');
    }
  });
});
