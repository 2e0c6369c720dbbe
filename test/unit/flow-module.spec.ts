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

  it.each([
    ['nothing', {}],
    ['more than one thing', { useClass: Settings, useFactory: () => ({}) }],
  ])('refuses to be made of %s', (what, options) => {
    const importing = (): unknown => FlowModule.forRootAsync(options);
    expect(importing).toThrow(ConfigurationError);
    expect(importing).toThrow(new RegExp(`${what} makes the options.*"useFactory", "useClass" and "useExisting"`));
  });
});
