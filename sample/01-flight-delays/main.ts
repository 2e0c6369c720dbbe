/**
 * A worker: runs the steps of the flow until it is told to stop. Any number of them share the work.
 *
 *     NATS_URL=nats://127.0.0.1:4222 node --import @swc-node/register/esm-register sample/01-flight-delays/main.ts
 */
import { NestFactory } from '@nestjs/core';
import { Logger } from 'nestjs-pino';
import { startOpenTelemetry } from 'nestjs-jetstream-flow/opentelemetry';
import { AppModule } from './app.module.js';

// Before the application, so that everything it does is seen. Where to is for the OTEL_… variables to say.
const telemetry = startOpenTelemetry({ serviceName: 'flight-delays' });
const app = await NestFactory.createApplicationContext(AppModule, { bufferLogs: true });
const log = app.get(Logger);
app.useLogger(log);

let stopping: Promise<void> | undefined;

/** Finishes the steps that run, hands back the rest, then exports the last spans. Never rejects: nobody awaits it. */
async function stop(): Promise<void> {
  try {
    await app.close();
    await telemetry.shutdown();
  } catch (error) {
    log.error(error);
  }
  if (process.connected) process.disconnect();
}

// The demo starts workers as child processes: they end with it, and tell it when they pull.
for (const event of ['SIGINT', 'SIGTERM', 'disconnect'] as const) {
  process.on(event, () => void (stopping ??= stop()));
}
process.send?.('ready');
