import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  Coordination,
  FlowModule,
  getFlowToken,
  InjectRateLimiter,
  RateLimiter,
  type RateLimiterOptions,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const at = useFlowServer();

@Injectable()
class Api {
  constructor(@InjectRateLimiter('api') readonly limiter: RateLimiter) {}
}

@Injectable()
class Billing {
  constructor(@InjectRateLimiter('api', 'billing') readonly limiter: RateLimiter) {}
}

function feature(
  rateLimiters: readonly RateLimiterOptions[],
  provider?: new (...args: never[]) => object,
  key?: string,
) {
  const providers = provider === undefined ? [] : [provider];
  @Module({
    imports: [FlowModule.forFeature({ rateLimiters, ...(key !== undefined && { key }) })],
    providers,
    exports: providers,
  })
  class Feature {}
  return Feature;
}

const options = { limit: 3, window: '1h' } as const;

describe('rate limiters in a module', () => {
  it('are injected, are those that the service gives, and have their bucket from the boot on', async () => {
    await using app = await startFlowApp(at.url, [], {}, [feature([{ name: 'api', ...options }], Api)]);
    const { limiter } = app.get(Api);
    expect(limiter).toBeInstanceOf(RateLimiter);
    expect(limiter.name).toBe('api');
    expect((await at.streams.manager.streams.info('KV_flow_limit_api')).config.max_age).toBe(7_205_000_000_000);
    const coordination = app.get(Coordination);
    expect(coordination.rateLimiter('api')).toBe(limiter);
    expect(coordination.rateLimiter('api', options)).toBe(limiter);
    expect(() => coordination.rateLimiter('api', { ...options, limit: 4 })).toThrow(ConfigurationError);
    expect(() => coordination.rateLimiter('unheard-of')).toThrow(ConfigurationError);
    expect((await coordination.rateLimiter('other', options).consume('key')).remaining).toBe(2);
  });

  it('are shared by features that want the same, and stop the boot of those that do not', async () => {
    const same = [feature([{ name: 'shared', ...options }]), feature([{ name: 'shared', ...options }])];
    await using app = await startFlowApp(at.url, [], {}, same);
    expect(app.get(Coordination).rateLimiter('shared').name).toBe('shared');
    const other = feature([{ name: 'shared', ...options, limit: 4 }]);
    await expect(startFlowApp(at.url, [], {}, [...same, other])).rejects.toThrow('used with other options elsewhere');
  });

  it('belong to a connection', async () => {
    await using app = await startFlowApp(at.url, [], {}, [
      FlowModule.forRoot({ servers: at.url, key: 'billing', bucketPrefix: 'billing_' }),
      feature([{ name: 'api', ...options }], Api),
      feature([{ name: 'api', ...options }], Billing, 'billing'),
    ]);
    const { limiter } = app.get(Billing);
    expect(limiter).not.toBe(app.get(Api).limiter);
    expect(app.get<Coordination>(getFlowToken(Coordination, 'billing')).rateLimiter('api')).toBe(limiter);
    await limiter.consume('key', { cost: 3 });
    expect((await app.get(Api).limiter.peek('key')).remaining).toBe(3);
  });

  it('let nobody wait any longer when the application stops', async () => {
    const app = await startFlowApp(at.url, [], {}, [feature([{ name: 'api', ...options }], Api)]);
    const { limiter } = app.get(Api);
    await limiter.consume('stop', { cost: 3 });
    const waiting = expect(limiter.waitFor('stop')).rejects.toThrow('the application stops');
    await app.close();
    await waiting;
  });
});
