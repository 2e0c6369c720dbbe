import { describe, expect, it } from 'vitest';
import { ConfigurationError, FlowModule, type FlowModuleOptions } from 'nestjs-jetstream-flow';

class Settings {
  createFlowOptions(): FlowModuleOptions {
    return {};
  }
}

describe('FlowModule', () => {
  it('tells all problems of its options where it is imported', () => {
    const importing = (): unknown => FlowModule.forRoot({ maxInFlight: 0, servers: 'http://x', user: 'me' });
    expect(importing).toThrow(ConfigurationError);
    expect(importing).toThrow(/maxInFlight[^]*servers|servers[^]*maxInFlight/);
    expect(importing).toThrow(/password/);
  });

  it('tells all problems of a feature at once, whatever has them', () => {
    const importing = (): unknown =>
      FlowModule.forFeature({
        mutexes: [{ name: 'a b' }, { name: 'good', ttl: '1ms' }],
        semaphores: [{ name: 'seats', permits: 0 }],
        counters: [{ name: 'good' }],
        rateLimiters: [{ name: 'api', limit: 0, window: '1m' }],
      });
    expect(importing).toThrow(ConfigurationError);
    expect(importing).toThrow(/4 problems[^]*"a b"[^]*"good": ttl[^]*"seats": permits[^]*"api": limit/);
  });

  it.each([
    ['nothing', {}],
    ['more than one thing', { useClass: Settings, useFactory: () => ({}) }],
  ])('refuses to be made of %s', (what, options) => {
    const importing = (): unknown => FlowModule.forRootAsync(options);
    expect(importing).toThrow(ConfigurationError);
    expect(importing).toThrow(new RegExp(`${what} makes the options.*"useFactory", "useClass" and "useExisting"`));
  });
});
