/**
 * A worker as an application would be: spans to where the environment says, log lines on the standard output. Runs
 * until SIGTERM. Argument: URL of the server.
 */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowModule } from 'nestjs-jetstream-flow';
import { startOpenTelemetry } from 'nestjs-jetstream-flow/opentelemetry';
import { flowLogger } from 'nestjs-jetstream-flow/pino';
import { Logger, LoggerModule } from 'nestjs-pino';
import { OrderFlow, Tally } from './order-flow.js';

const telemetry = startOpenTelemetry();

@Module({
  imports: [
    LoggerModule.forRoot(flowLogger()),
    FlowModule.forRoot({ servers: process.argv[2] ?? '' }),
    FlowModule.forFeature({ objects: [Tally] }),
  ],
  providers: [OrderFlow],
})
class WorkerModule {}

const app = await NestFactory.createApplicationContext(WorkerModule, { bufferLogs: true });
app.useLogger(app.get(Logger));
process.send?.('ready');
await new Promise((resolve) => process.once('SIGTERM', resolve));
await app.close();
await telemetry.shutdown();
process.disconnect();
