// Compiled by the type check, never run.
import { Injectable, type InjectionToken } from '@nestjs/common';
import { FlowModule, type FlowModuleOptions, type FlowOptionsFactory } from 'nestjs-jetstream-flow';

@Injectable()
class Settings implements FlowOptionsFactory {
  readonly url = 'nats://127.0.0.1:4222';

  createFlowOptions(): FlowModuleOptions {
    return { servers: this.url };
  }
}

abstract class Secrets {
  abstract readonly password: string;
}

const NAME: InjectionToken<string> = Symbol('name');

// Whatever Nest injects into a factory provider.
FlowModule.forRootAsync({
  inject: [Settings, Secrets, NAME, 'ZONE', { token: 'DOMAIN', optional: true }],
  useFactory: ({ url }: Settings, { password }: Secrets, name: string, _zone: string, domain?: string) => ({
    servers: url,
    user: 'shop',
    password,
    name,
    ...(domain !== undefined && { domain }),
  }),
});
FlowModule.forRootAsync({ useFactory: async () => Promise.resolve({ servers: 'nats://127.0.0.1:4222' }) });
FlowModule.forRootAsync({ useClass: Settings });
FlowModule.forRootAsync({ useExisting: Settings, key: 'two' });

// @ts-expect-error: no option
FlowModule.forRootAsync({ useFactory: () => ({ server: 'nats://127.0.0.1:4222' }) });
// @ts-expect-error: makes no options
FlowModule.forRootAsync({ useClass: Secrets });
