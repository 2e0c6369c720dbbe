import { Controller, Get, UseGuards, type INestApplication } from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { FlowModule, getCoordinationToken, MemoryRateLimiter, RateLimit, RateLimitGuard } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { until } from '../support/until.js';

@Controller()
@UseGuards(RateLimitGuard)
class OpenController {
  @Get()
  @RateLimit('address')
  list() {
    return ['a'];
  }
}

/** An application that allows two requests an hour, or what `change` makes of it. */
async function listen(
  servers: string,
  change = (module: TestingModuleBuilder): TestingModuleBuilder => module,
): Promise<{ app: INestApplication; status: () => Promise<number> }> {
  const rateLimiters = [{ name: 'address', limit: 2, window: '1h', timeout: '500ms' }] as const;
  const imports = [FlowModule.forRoot({ servers }), FlowModule.forFeature({ rateLimiters })];
  const module = await change(Test.createTestingModule({ imports, controllers: [OpenController] })).compile();
  const app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { app, status: async () => (await fetch(url)).status };
}

describe('RateLimitGuard, when its limiter', () => {
  it('has no server, answers 503', async () => {
    await using server = await EmbeddedNatsServer.start();
    const { app, status } = await listen(server.url);
    expect(await status()).toBe(200);
    await server.kill();
    expect(await status()).toBe(503);
    await server.restart();
    await until(async () => (await status()) === 200, { what: 'the server to be back' });
    await app.close();
  });

  it('was replaced by a test, asks what is in its place', async () => {
    await using server = await EmbeddedNatsServer.start();
    const { app, status } = await listen(server.url, (module) =>
      module
        .overrideProvider(getCoordinationToken('RateLimiter', 'address'))
        .useValue(new MemoryRateLimiter({ limit: 1, window: '1h' })),
    );
    expect([await status(), await status()]).toEqual([200, 429]);
    await app.close();
  });
});
