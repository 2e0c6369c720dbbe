import { Controller, Get, Module, type INestApplication } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { seconds, ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, Coordination, FlowModule } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { FlowThrottlerStorage, type FlowThrottlerStorageOptions } from 'nestjs-jetstream-flow/throttler';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { needsServer } from '../../support/needs-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { until } from '../../support/until.js';

const at = useFlowServer();
let names = 0;

/** Two storages of one name, each of an application of its own. */
async function openStorages(options: FlowThrottlerStorageOptions = {}, url = at.url) {
  const name = `test-${++names}`;
  const apps = await Promise.all([startFlowApp(url, []), startFlowApp(url, [])]);
  const [one, other] = apps.map((app) => new FlowThrottlerStorage(app.get(Coordination), { name, ...options }));
  return {
    name,
    one: one!,
    other: other!,
    async [Symbol.asyncDispose]() {
      await Promise.all(apps.map((app) => app.close()));
    },
  };
}

/** Waits so long by the clock that times. */
async function pass(ms: number): Promise<void> {
  const then = performance.now() + ms;
  await until(() => performance.now() > then, { what: `${ms} ms pass` });
}

describe('FlowThrottlerStorage', () => {
  it('counts hits, over all instances', async () => {
    await using storages = await openStorages();
    const { one, other } = storages;
    expect(await one.increment('key', 1_000, 2, 0, 'test')).toEqual({
      totalHits: 1,
      timeToExpire: 1,
      isBlocked: false,
      timeToBlockExpire: 0,
    });
    expect(await other.increment('key', 1_000, 2, 0, 'test')).toMatchObject({ totalHits: 2, isBlocked: false });
    expect(await one.increment('key', 1_000, 2, 0, 'test')).toMatchObject({
      totalHits: 3,
      isBlocked: true,
      timeToBlockExpire: 1,
    });
    // Another throttler, another key.
    expect(await one.increment('key', 1_000, 2, 0, 'other')).toMatchObject({ totalHits: 1 });
    expect(await one.increment('other', 1_000, 2, 0, 'test')).toMatchObject({ totalHits: 1 });
  });

  it('lets requests through again when hits or the block have expired', async () => {
    await using storages = await openStorages();
    const { one } = storages;
    for (const expected of [false, false, true]) {
      expect((await one.increment('hits', 150, 2, 0, 'test')).isBlocked).toBe(expected);
      expect((await one.increment('block', 100, 2, 300, 'test')).isBlocked).toBe(expected);
    }
    await pass(160);
    expect(await one.increment('hits', 150, 2, 0, 'test')).toMatchObject({ isBlocked: false, totalHits: 1 });
    // The hits are gone, the block is not.
    expect((await one.increment('block', 100, 2, 300, 'test')).isBlocked).toBe(true);
    await pass(160);
    expect(await one.increment('block', 100, 2, 300, 'test')).toMatchObject({ isBlocked: false, totalHits: 1 });
  });

  it.each([0, 60_000])('lets no flood through, with a block of %s ms', async (blockDuration) => {
    await using storages = await openStorages();
    const { one, other, name } = storages;
    const records = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        (index % 2 === 0 ? one : other).increment('flood', 60_000, 10, blockDuration, 'test'),
      ),
    );
    expect(records.filter(({ isBlocked }) => !isBlocked)).toHaveLength(10);
    // What is blocked is known, and costs no request.
    const writes = async (): Promise<number> =>
      (await at.streams.manager.streams.info(`KV_flow_throttler_${name}`)).state.last_seq;
    const before = await writes();
    expect((await one.increment('flood', 60_000, 10, blockDuration, 'test')).isBlocked).toBe(true);
    expect(await writes()).toBe(before);
  });

  it('works on an old server, whose entries expire with their bucket', async (context) => {
    needsOldServer(context);
    await using server = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    await using storages = await openStorages({ longestTtl: '1m' }, server.url);
    const records = await Promise.all(
      Array.from({ length: 50 }, () => storages.one.increment('old', 60_000, 10, 0, 'test')),
    );
    expect(records.filter(({ isBlocked }) => !isBlocked)).toHaveLength(10);
  });

  it('leaves nothing of idle keys', async () => {
    await using storages = await openStorages({ longestTtl: '1s' });
    await storages.one.increment('idle', 100, 10, 0, 'test');
    const bucket = `KV_flow_throttler_${storages.name}`;
    const { config, state } = await at.streams.manager.streams.info(bucket);
    expect([config.max_age / 1_000_000, state.messages]).toEqual([6_000, 1]);
    await until(async () => (await at.streams.manager.streams.info(bucket)).state.messages === 0, {
      what: 'the key expires',
      intervalMs: 200,
    });
  });

  it('keeps its bucket for those with longer times, whichever came last', async () => {
    await using storages = await openStorages({ longestTtl: '1m' });
    const { name, one } = storages;
    await one.increment('key', 60_000, 10, 0, 'test');
    await using app = await startFlowApp(at.url, []);
    await new FlowThrottlerStorage(app.get(Coordination), { name, longestTtl: '1s' }).increment(
      'key',
      100,
      9,
      0,
      'test',
    );
    const { config } = await at.streams.manager.streams.info(`KV_flow_throttler_${name}`);
    expect(config.max_age / 1_000_000).toBe(65_000);
  });

  it('keeps an entry for as long as anything in it counts, whatever the last hit was', async (context) => {
    needsServer(context, at.server, '2.11', 'an entry that expires by itself');
    await using storages = await openStorages();
    const { one, name } = storages;
    const hit = (ttl: number, limit: number, blockMs: number) => one.increment('key', ttl, limit, blockMs, 'test');
    const livesFor = async (): Promise<number> => {
      const query = { last_by_subj: `$KV.flow_throttler_${name}.>` };
      const entry = await at.streams.manager.streams.getMessage(`KV_flow_throttler_${name}`, query);
      return Number.parseInt(entry?.header.get('Nats-TTL') ?? '', 10);
    };
    await hit(60_000, 1, 0);
    expect(await livesFor()).toBe(65);
    // The hit of a minute is not forgotten with the one of a second.
    expect(await hit(1_000, 5, 0)).toMatchObject({ totalHits: 2 });
    expect(await livesFor()).toBeGreaterThan(50);
    expect(await hit(1_000, 1, 3_600_000)).toMatchObject({ isBlocked: true });
    expect(await livesFor()).toBe(3_605);
    expect(await hit(1_000, 9, 0)).toMatchObject({ totalHits: 4, isBlocked: false });
    expect(await livesFor()).toBeGreaterThan(3_500);
  });

  it('refuses wrong options, and times that are too long for it', async () => {
    await using storages = await openStorages({ longestTtl: '1m' });
    await expect(storages.one.increment('key', 60_001, 1, 0, 'test')).rejects.toThrow(ConfigurationError);
    const wrong = { name: 'a b', longestTtl: 1, onStoreError: 'panic' } as unknown as FlowThrottlerStorageOptions;
    await using app = await startFlowApp(at.url, []);
    expect(() => new FlowThrottlerStorage(app.get(Coordination), wrong)).toThrow(
      /name.*\n.*longestTtl.*\n.*onStoreError/,
    );
  });
});

@Controller()
class AppController {
  @Get()
  get() {
    return 'hello';
  }
}

@Module({
  imports: [
    FlowModule.forRootAsync({ useFactory: () => ({ servers: at.url }) }),
    ThrottlerModule.forRootAsync({
      inject: [Coordination],
      useFactory: (coordination: Coordination) => ({
        throttlers: [{ ttl: seconds(60), limit: 10 }],
        storage: new FlowThrottlerStorage(coordination, { name: 'app' }),
      }),
    }),
  ],
  controllers: [AppController],
  providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
})
class AppModule {}

describe('the guard of @nestjs/throttler', () => {
  it('lets as many requests through as its limit, over two instances', async () => {
    const apps = await Promise.all(
      [1, 2].map(async (): Promise<INestApplication> => {
        const app = await NestFactory.create(AppModule, { logger: false });
        return app.listen(0, '127.0.0.1').then(() => app);
      }),
    );
    const urls = await Promise.all(apps.map((app) => app.getUrl()));
    const responses = await Promise.all(Array.from({ length: 60 }, (_, index) => fetch(String(urls[index % 2]))));
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(10);
    const denied = responses.filter(({ status }) => status === 429);
    expect(denied).toHaveLength(50);
    for (const response of denied) expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(50);
    for (const app of apps) await app.close();
  });
});
