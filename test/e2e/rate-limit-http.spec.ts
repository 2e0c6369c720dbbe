import {
  Controller,
  Get,
  Module,
  Param,
  UseGuards,
  type ExecutionContext,
  type INestApplication,
  type ModuleMetadata,
} from '@nestjs/common';
import { APP_GUARD, NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FlowModule,
  InjectRateLimiter,
  RateLimit,
  RateLimitGuard,
  RateLimiter,
  type FlowFeatureOptions,
} from 'nestjs-jetstream-flow';
import { useFlowServer } from '../support/flow-server.js';

const at = useFlowServer();

const header = (name: string) => (context: ExecutionContext) =>
  String(context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers[name]);
const user = header('x-user');
const rateLimiters = [
  { name: 'address', limit: 2, window: '1h' },
  { name: 'user', limit: 3, window: '1m', algorithm: 'fixed-window' },
  { name: 'heavy', limit: 10, window: 1_500, algorithm: 'sliding-window' },
  {
    name: 'plan',
    limits: [
      { name: 'second', limit: 5, window: '1s' },
      { name: 'day', limit: 2, window: '1d' },
    ],
  },
] as const;

@Controller('open')
@UseGuards(RateLimitGuard)
class OpenController {
  @Get()
  @RateLimit('address')
  list() {
    return ['a'];
  }

  @Get('free')
  free() {
    return 'free';
  }
}

@Controller('users')
@UseGuards(RateLimitGuard)
@RateLimit('user', { key: user, skipIf: (context) => user(context) === 'admin' })
class UserController {
  constructor(@InjectRateLimiter('heavy') private readonly heavy: RateLimiter) {}

  @Get()
  list() {
    return 'users';
  }

  @Get('report/:cost')
  @RateLimit('heavy', {
    key: (context) => Promise.resolve(`report ${user(context)}`),
    cost: (context) => Number(context.switchToHttp().getRequest<{ params: { cost: string } }>().params.cost),
  })
  report(@Param('cost') cost: string) {
    return cost;
  }

  @Get('plan')
  @RateLimit('user', { key: user })
  @RateLimit('plan', { key: user })
  plan() {
    return 'plan';
  }

  @Get('twice')
  @RateLimit('user', { key: (context) => `twice ${user(context)}` })
  @RateLimit('plan', { key: (context) => `twice ${user(context)}` })
  @RateLimit('user', { key: () => 'twice in all', cost: 2 })
  twice() {
    return 'twice';
  }

  @Get('silent')
  @RateLimit('user', { key: (context) => `silent ${user(context)}`, headers: false })
  silent() {
    return 'silent';
  }

  @Get('by-hand')
  async byHand() {
    const { allowed, remaining } = await this.heavy.consume('by-hand', { cost: 4 });
    return { allowed, remaining };
  }
}

/** An application that listens, with the flow's module. */
async function listen(
  adapter: AbstractHttpAdapter,
  url: string,
  features: FlowFeatureOptions,
  metadata: ModuleMetadata,
): Promise<INestApplication> {
  @Module({ ...metadata, imports: [FlowModule.forRoot({ servers: url }), FlowModule.forFeature(features)] })
  class AppModule {}
  const app = await NestFactory.create(AppModule, adapter, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  return app;
}

const adapters = {
  express: () => new ExpressAdapter(),
  fastify: () => new FastifyAdapter() as unknown as AbstractHttpAdapter,
};

describe.each(['express', 'fastify'] as const)('RateLimitGuard on %s', (platform) => {
  let app: INestApplication;
  let url = '';
  beforeAll(async () => {
    app = await listen(
      adapters[platform](),
      at.url,
      { rateLimiters },
      { controllers: [OpenController, UserController] },
    );
    url = await app.getUrl();
  });
  afterAll(async () => {
    await app.close();
    // The next platform begins anew.
    for (const name of ['address', 'user', 'heavy', 'plan'])
      await at.streams.manager.streams.delete(`KV_flow_limit_${name}`);
  });

  const get = (path: string, as = 'ann'): Promise<Response> => fetch(`${url}${path}`, { headers: { 'x-user': as } });

  it('tells what is left, and answers 429 with the time to wait', async () => {
    const first = await get('/open');
    expect(first.status).toBe(200);
    expect(await first.json()).toEqual(['a']);
    expect(first.headers.get('ratelimit-policy')).toBe('"address";q=2;w=3600');
    expect(first.headers.get('ratelimit')).toBe('"address";r=1;t=1800');
    expect(first.headers.get('retry-after')).toBeNull();
    // One of the two is back after half of the window: until then, and not longer, no more than none can be used.
    expect((await get('/open')).headers.get('ratelimit')).toBe('"address";r=0;t=1800');

    const denied = await get('/open');
    expect(denied.status).toBe(429);
    expect(denied.headers.get('retry-after')).toMatch(/^(1800|1799)$/);
    expect(denied.headers.get('ratelimit-policy')).toBe('"address";q=2;w=3600');
    const seconds = denied.headers.get('retry-after');
    expect(denied.headers.get('ratelimit')).toBe(`"address";r=0;t=${seconds}`);
    expect(await denied.json()).toEqual({
      statusCode: 429,
      error: 'Too Many Requests',
      message: `Rate limit exceeded. Try again in ${seconds} s.`,
    });
  });

  it('leaves other methods alone', async () => {
    const free = await get('/open/free');
    expect(free.status).toBe(200);
    expect(free.headers.get('ratelimit')).toBeNull();
  });

  it('counts by key, skips what is to be skipped, and takes what the class says', async () => {
    const statuses = async (as: string): Promise<number[]> => {
      const all = [];
      for (let index = 0; index < 4; index++) all.push((await get('/users', as)).status);
      return all;
    };
    expect(await statuses('ann')).toEqual([200, 200, 200, 429]);
    expect(await statuses('bob')).toEqual([200, 200, 200, 429]);
    expect(await statuses('admin')).toEqual([200, 200, 200, 200]);
    expect((await get('/users', 'admin')).headers.get('ratelimit')).toBeNull();
  });

  it('takes costs, and no window in the policy that is not in whole seconds', async () => {
    const report = await get('/users/report/7');
    expect(report.status).toBe(200);
    expect(report.headers.get('ratelimit-policy')).toBe('"heavy";q=10');
    expect(report.headers.get('ratelimit')).toMatch(/^"heavy";r=3;t=[123]$/);
    expect((await get('/users/report/7')).status).toBe(429);
  });

  it('answers 400 to a cost that makes no sense', async () => {
    for (const cost of ['0', '11', '1.5', 'much'])
      expect((await get(`/users/report/${cost}`, 'dora')).status).toBe(400);
    expect((await get('/users/report/10', 'dora')).status).toBe(200);
  });

  it('asks several limiters in order, and tells of each of their limits', async () => {
    const plan = await get('/users/plan', 'carl');
    expect(plan.headers.get('ratelimit-policy')).toBe('"user";q=3;w=60, "second";q=5;w=1, "day";q=2;w=86400');
    expect(plan.headers.get('ratelimit')).toMatch(/^"user";r=2;t=60, "second";r=4;t=1, "day";r=1;t=43200$/);
    await get('/users/plan', 'carl');
    const denied = await get('/users/plan', 'carl');
    expect(denied.status).toBe(429);
    const seconds = Number(denied.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(43_000);
    // No window ends after the time to wait.
    const windows = [...(denied.headers.get('ratelimit') ?? '').matchAll(/t=(\d+)/g)].map(([, t]) => Number(t));
    expect(Math.max(...windows)).toBeLessThanOrEqual(seconds);
  });

  it('tells of a limiter that is asked twice by what is less, since names are unique', async () => {
    const first = await get('/users/twice', 'eve');
    expect(first.headers.get('ratelimit-policy')).toBe('"user";q=3;w=60, "second";q=5;w=1, "day";q=2;w=86400');
    expect(first.headers.get('ratelimit')).toMatch(/^"user";r=1;t=60, "second";r=4;t=1, "day";r=1;t=43200$/);
    const denied = await get('/users/twice', 'finn');
    expect(denied.status).toBe(429);
    expect(denied.headers.get('ratelimit-policy')).toBe(first.headers.get('ratelimit-policy'));
    // Of the two, the one that denied: the other has two left.
    const seconds = denied.headers.get('retry-after');
    expect(denied.headers.get('ratelimit')).toMatch(new RegExp(`^"user";r=1;t=${seconds}, `));
  });

  it('says only when to come back, when it is to say nothing', async () => {
    for (let index = 0; index < 3; index++) {
      expect((await get('/users/silent')).headers.get('ratelimit')).toBeNull();
    }
    const denied = await get('/users/silent');
    expect(denied.status).toBe(429);
    expect(denied.headers.get('ratelimit-policy')).toBeNull();
    expect(denied.headers.get('retry-after')).not.toBeNull();
  });

  it('leaves the limiter to whoever injects it', async () => {
    expect(await (await get('/users/by-hand', 'admin')).json()).toEqual({ allowed: true, remaining: 6 });
  });
});

describe('RateLimitGuard', () => {
  it('may guard the whole application', async () => {
    @Controller()
    class Everything {
      @Get()
      @RateLimit('global', { key: () => 'all' })
      get() {
        return 1;
      }
      @Get('free')
      free() {
        return 2;
      }
    }
    const app = await listen(
      adapters.express(),
      at.url,
      { rateLimiters: [{ name: 'global', limit: 1, window: '1h' }] },
      { controllers: [Everything], providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }] },
    );
    const url = await app.getUrl();
    expect([(await fetch(url)).status, (await fetch(url)).status]).toEqual([200, 429]);
    expect((await fetch(`${url}/free`)).status).toBe(200);
    await app.close();
  });

  it('is not made with wrong options: all of them are told at once', () => {
    const wrong = [
      { name: 'one', limit: 0, window: '1s' as const },
      { name: 'two', limit: 1, window: 'never' as never },
    ];
    expect(() => FlowModule.forFeature({ rateLimiters: wrong })).toThrow(
      expect.objectContaining({
        problems: [expect.stringContaining('"one": limit'), expect.stringContaining('"two": window')] as unknown,
      }) as Error,
    );
  });
});
