import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowModule } from 'nestjs-jetstream-flow';
import { startOpenTelemetry } from 'nestjs-jetstream-flow/opentelemetry';
import { flowLogger } from 'nestjs-jetstream-flow/pino';
import { Logger, LoggerModule } from 'nestjs-pino';

@Module({
  imports: [LoggerModule.forRoot(flowLogger({ pinoHttp: { level: 'info' } })), FlowModule.forRoot({})],
})
export class LoggingModule {}

// Before anything else is created.
const telemetry = startOpenTelemetry({ serviceName: 'shop' });

const app = await NestFactory.createApplicationContext(LoggingModule, { bufferLogs: true });
app.useLogger(app.get(Logger));

// After everything else has ended: this exports the last spans.
async function stop(): Promise<void> {
  try {
    await app.close();
    await telemetry.shutdown();
  } catch (error) {
    console.error('Stopping failed:', error);
  }
}
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
