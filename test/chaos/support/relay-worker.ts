/** One process of the relay flow, to be killed: `relay-worker.ts <server url>`. Tells its parent when it runs. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowModule } from 'nestjs-jetstream-flow';
import { RelayCounts, RelayFlow } from './relay.flow.js';

const [servers = ''] = process.argv.slice(2);

@Module({
  imports: [FlowModule.forRoot({ servers, reconnectWait: '100ms' }), FlowModule.forFeature({ objects: [RelayCounts] })],
  providers: [RelayFlow],
})
class WorkerModule {}

const app = await NestFactory.createApplicationContext(WorkerModule, { logger: ['error'] });
app.enableShutdownHooks();
// A parent that is gone leaves nobody to end this process.
process.on('disconnect', () => process.exit(1));
process.send?.('running');
