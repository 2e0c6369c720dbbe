import { Injectable, Scope, type Provider } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  FlowConnection,
  FlowModule,
  getFlowToken,
  getObjectStoreToken,
  json,
  KvObject,
  OnKvChange,
  type KeyEvent,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { Test } from '@nestjs/testing';
import { recordingLog } from '../../support/log.js';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

interface Level {
  value: number;
}

class LevelReducer implements KvReducer<Level, number, { tank: string }> {
  key({ tank }: { tank: string }): string {
    return tank;
  }
  empty(): Level {
    return { value: 0 };
  }
  apply(state: Level, input: number): void {
    state.value += input;
  }
}

@KvObject({ bucket: 'levels', schema: json<Level>('Level'), history: 64 })
class Levels extends LevelReducer {}

@KvObject({ bucket: 'unlisted', schema: json<Level>('Level') })
class Unlisted extends LevelReducer {}

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

const feature = FlowModule.forFeature({ objects: [Levels] });
const storeOf = (app: FlowApp): ObjectStore<Levels> => app.nest.get(getObjectStoreToken(Levels), { strict: false });
const start = (...providers: Provider[]): Promise<FlowApp> => startFlowApp(server.url, providers, {}, [feature]);

function short(change: KeyEvent<Level>): string {
  return change.type === 'value' ? `${change.key.text}=${change.state.value}` : `${change.type} ${change.key.text}`;
}

/** What boot says is wrong. */
async function problemsOf(boot: Promise<FlowApp>): Promise<readonly string[]> {
  try {
    await using app = await boot;
    return [`started ${app.nest.constructor.name}`];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

describe('@OnKvChange', () => {
  it('tells each change from the start on, of all keys or a pattern, in every instance', async () => {
    @Injectable()
    class Board {
      readonly all: string[] = [];
      readonly some: string[] = [];

      @OnKvChange(Levels)
      onAny(change: KeyEvent<Level>): void {
        this.all.push(short(change));
      }

      @OnKvChange(Levels, { key: { tank: 'b' }, from: 'last' })
      onOne(change: KeyEvent<Level>): void {
        this.some.push(short(change));
      }
    }
    await using writer = await start();
    const store = storeOf(writer);
    await store.update({ tank: 'a' }, 1);
    await store.update({ tank: 'b' }, 2);
    await using one = await start(Board);
    await using other = await start(Board);
    const boards = [one, other].map((app) => app.nest.get(Board));
    await store.update({ tank: 'a' }, 1);
    await store.update({ tank: 'b' }, 1);
    await store.delete({ tank: 'b' });
    await until(() => boards.every(({ all, some }) => all.length === 3 && some.length === 3), { what: 'the changes' });
    for (const { all, some } of boards) {
      expect(all).toEqual(['a=2', 'b=3', 'deleted b']);
      expect(some).toEqual(['b=2', 'b=3', 'deleted b']);
    }
  });

  it('logs what a method throws, and goes on', async () => {
    @Injectable()
    class Fragile {
      readonly seen: string[] = [];

      @OnKvChange(Levels, { key: { tank: 'fragile' } })
      async onChange(change: KeyEvent<Level>): Promise<void> {
        await Promise.resolve();
        if (change.type === 'value' && change.state.value === 1) throw new RangeError('too low');
        this.seen.push(short(change));
      }
    }
    const log = recordingLog();
    const module = await Test.createTestingModule({
      imports: [FlowModule.forRoot({ servers: server.url }), feature],
      providers: [Fragile],
    })
      .setLogger({ ...log, log: () => undefined })
      .compile();
    const app = module.createNestApplication();
    await app.init();
    const store = app.get<ObjectStore<Levels>>(getObjectStoreToken(Levels), { strict: false });
    await store.update({ tank: 'fragile' }, 1);
    await store.update({ tank: 'fragile' }, 1);
    await until(() => app.get(Fragile).seen.length === 1, { what: 'the second change' });
    expect(app.get(Fragile).seen).toEqual(['fragile=2']);
    expect(log.messages('error')).toEqual([
      expect.stringMatching(
        /^@OnKvChange on Fragile\.onChange failed for "fragile", revision \d+: RangeError: too low$/,
      ),
    ]);
    await app.close();
  });

  it('calls one at a time; a slow method gets the latest', async () => {
    const hold = gate();
    @Injectable()
    class Slow {
      running = 0;
      most = 0;
      readonly seen: number[] = [];

      @OnKvChange(Levels, { key: { tank: 'slow' } })
      async onChange(change: KeyEvent<Level>): Promise<void> {
        this.most = Math.max(this.most, ++this.running);
        await hold.opened;
        if (change.type === 'value') this.seen.push(change.state.value);
        this.running -= 1;
      }
    }
    await using app = await start(Slow);
    const slow = app.nest.get(Slow);
    for (let index = 0; index < 5; index++) await storeOf(app).update({ tank: 'slow' }, 1);
    await until(() => slow.running === 1, { what: 'the first call' });
    hold.open();
    await until(() => slow.seen.at(-1) === 5, { what: 'the latest state' });
    expect(slow.most).toBe(1);
    expect(slow.seen).toEqual([...slow.seen].sort((a, b) => a - b));
  });

  it('lets a call end before the connection closes, and leaves no consumer', async () => {
    const hold = gate();
    @Injectable()
    class Late {
      entered = 0;
      outcome = '';

      constructor(private readonly connection: FlowConnection) {}

      @OnKvChange(Levels, { key: { tank: 'late' } })
      async onChange(): Promise<void> {
        this.entered += 1;
        await hold.opened;
        this.outcome = this.connection.status;
      }
    }
    await using watcher = await start();
    const app = await start(Late);
    const late = app.nest.get(Late);
    await storeOf(app).update({ tank: 'late' }, 1);
    await until(() => late.entered === 1, { what: 'the call' });
    const closed = app.nest.close();
    hold.open();
    await closed;
    expect(late.outcome).toBe('connected');
    expect(late.entered).toBe(1);
    const { manager } = watcher.nest.get<FlowConnection>(getFlowToken(FlowConnection));
    expect((await manager.streams.info('KV_levels')).state.consumer_count).toBe(0);
  });

  it('refuses at boot what could not be called, all problems at once', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @OnKvChange(Levels)
      onChange(): void {}
    }
    @Injectable()
    class Elsewhere {
      @OnKvChange(Unlisted)
      onUnlisted(): void {}

      @OnKvChange(Levels, { connection: 'billing' })
      onBilling(): void {}
    }
    const problems = await problemsOf(start(PerRequest, Elsewhere));
    expect(problems).toEqual([
      expect.stringContaining('PerRequest.onChange: its class is request-scoped or transient'),
      expect.stringContaining(
        'Elsewhere.onUnlisted: nobody provides the store of Unlisted; import FlowModule.forFeature',
      ),
      expect.stringContaining('Elsewhere.onBilling: there is no connection "billing"'),
    ]);
  });

  it('names the method whose key is none', async () => {
    @Injectable()
    class Slip {
      @OnKvChange(Levels, { key: { tnak: 'a' } as unknown as { tank: string } })
      onChange(): void {}
    }
    await expect(start(Slip)).rejects.toThrow(/@OnKvChange on Slip.onChange: 1 problem\n.*part of type undefined/);
  });
});
