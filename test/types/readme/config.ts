import { Injectable, Module } from '@nestjs/common';
import { FlowClient, FlowModule, flowOptionsFromEnv, InjectFlow } from 'nestjs-jetstream-flow';
import { Orders } from './contract.js';
import { Readings } from './entries.js';

/** Stands for the reader's configuration service. */
@Injectable()
export class Settings {
  readonly natsUrl = 'nats://localhost:4222';
}

@Module({ providers: [Settings], exports: [Settings] })
export class SettingsModule {}

@Module({
  imports: [FlowModule.forRoot({ ...flowOptionsFromEnv(), name: 'shop' })],
})
export class EnvironmentModule {}

@Module({
  imports: [
    FlowModule.forRootAsync({
      imports: [SettingsModule],
      inject: [Settings],
      useFactory: (settings: Settings) => ({ servers: settings.natsUrl, durability: 'replicated', replicas: 3 }),
    }),
  ],
})
export class AsyncModule {}

@Module({
  imports: [
    FlowModule.forRoot({ servers: 'nats://shop:4222', flows: [Orders] }),
    FlowModule.forRoot({ servers: 'nats://plant:4222', flows: [Readings], key: 'plant' }),
  ],
})
export class TwoConnectionsModule {}

@Injectable()
export class PlantService {
  constructor(@InjectFlow(FlowClient, 'plant') private readonly flows: FlowClient) {}

  pause(): Promise<void> {
    return this.flows.pause(Readings);
  }
}
