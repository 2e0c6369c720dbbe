import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  Barrier,
  ConfigurationError,
  Coordination,
  CountDownLatch,
  Counter,
  FlowModule,
  getFlowToken,
  IdGenerator,
  InjectBarrier,
  InjectCountDownLatch,
  InjectCounter,
  InjectIdGenerator,
  InjectLeaderElection,
  InjectMutex,
  InjectReadWriteLock,
  InjectSemaphore,
  InjectWaitGroup,
  LeaderElection,
  LockLostError,
  Mutex,
  ReadWriteLock,
  Semaphore,
  WaitGroup,
  type MutexOptions,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const at = useFlowServer();

@Injectable()
class Orders {
  constructor(@InjectMutex('orders') readonly mutex: Mutex) {}
}

function feature(mutexes: readonly MutexOptions[], key?: string): new () => object {
  @Module({
    imports: [FlowModule.forFeature({ mutexes, ...(key !== undefined && { key }) })],
    providers: key === undefined ? [Orders] : [],
    exports: key === undefined ? [Orders] : [],
  })
  class Feature {}
  return Feature;
}

describe('coordination in a module', () => {
  it('injects what a feature lists, the same that the service gives, and has its bucket from the boot on', async () => {
    await using app = await startFlowApp(at.url, [], {}, [feature([{ name: 'orders', ttl: '5s' }])]);
    const { mutex } = app.get(Orders);
    expect(mutex).toBeInstanceOf(Mutex);
    expect((await at.streams.manager.streams.info('KV_flow_lock_orders')).config.max_age).toBe(86_400e9);
    const coordination = app.get(Coordination);
    expect(coordination.mutex('orders')).toBe(mutex);
    expect(coordination.mutex('orders', { ttl: '5s' })).toBe(mutex);
    expect(() => coordination.mutex('orders', { ttl: '6s' })).toThrow(ConfigurationError);
    expect(await mutex.runExclusive('17', ({ key }) => key)).toBe('17');
    expect(await coordination.mutex('others').runExclusive('17', () => 1)).toBe(1);
  });

  it('injects one of each kind', async () => {
    @Injectable()
    class Everything {
      constructor(
        @InjectSemaphore('pool') readonly semaphore: Semaphore,
        @InjectReadWriteLock('files') readonly lock: ReadWriteLock,
        @InjectLeaderElection('office') readonly election: LeaderElection,
        @InjectCounter('visits') readonly counter: Counter,
        @InjectWaitGroup('imports') readonly group: WaitGroup,
        @InjectCountDownLatch('start') readonly latch: CountDownLatch,
        @InjectBarrier('phase') readonly barrier: Barrier,
        @InjectIdGenerator('tickets') readonly ids: IdGenerator,
      ) {}
    }
    const all = FlowModule.forFeature({
      semaphores: [{ name: 'pool', permits: 3 }],
      readWriteLocks: [{ name: 'files' }],
      elections: [{ name: 'office' }],
      counters: [{ name: 'visits' }],
      waitGroups: [{ name: 'imports' }],
      latches: [{ name: 'start' }],
      barriers: [{ name: 'phase', parties: 1 }],
      idGenerators: [{ name: 'tickets', start: 7 }],
    });
    await using app = await startFlowApp(at.url, [Everything], {}, [all]);
    const made = app.get(Everything);
    const coordination = app.get(Coordination);
    expect(made.semaphore).toBe(coordination.semaphore('pool'));
    expect(made.lock).toBe(coordination.readWriteLock('files'));
    expect(made.election).toBe(coordination.election('office'));
    expect(made.latch).toBe(coordination.latch('start'));
    expect(await made.semaphore.run('k', () => 'in')).toBe('in');
    expect(await made.lock.runShared('k', () => 'in')).toBe('in');
    await made.counter.add('k', 3);
    expect(await made.counter.value('k')).toBe(3);
    expect(await made.group.add('k', 2)).toBe(2);
    expect(await made.barrier.arrive('k')).toBe(1);
    expect(await made.ids.next('k')).toBe(7);
    expect(() => coordination.semaphore('unknown')).toThrow('permits');
    expect(() => coordination.barrier('no.dots', { parties: 0 })).toThrow(/no\.dots[^]*parties/);
  });

  it('gives leases back when the application stops, and rejects who waits', async () => {
    const app = await startFlowApp(at.url, [], {}, [feature([{ name: 'orders' }])]);
    await using other = await startFlowApp(at.url, []);
    const { mutex } = app.get(Orders);
    const lease = await mutex.acquire('stop');
    const waiting = expect(mutex.acquire('stop')).rejects.toThrow('the application stops');
    await app.close();
    await waiting;
    expect(lease.signal.reason).toBeInstanceOf(LockLostError);
    expect(await other.get(Coordination).mutex('orders').tryAcquire('stop')).toBeDefined();
    expect(() => app.get(Coordination).mutex('late')).toThrow('the application stops');
  });

  it('stops the boot when two features want different things of one name', async () => {
    const modules = [feature([{ name: 'orders', ttl: '5s' }]), feature([{ name: 'orders', ttl: '6s' }])];
    await expect(startFlowApp(at.url, [], {}, modules)).rejects.toThrow('used with other options elsewhere');
  });

  it('has one service per connection', async () => {
    await using app = await startFlowApp(at.url, [], {}, [
      FlowModule.forRoot({ servers: at.url, key: 'billing' }),
      feature([{ name: 'orders' }]),
      feature([{ name: 'invoices' }], 'billing'),
    ]);
    const billing = app.get<Coordination>(getFlowToken(Coordination, 'billing'));
    expect(billing).not.toBe(app.get(Coordination));
    expect(await billing.mutex('invoices').runExclusive('1', () => 'done')).toBe('done');
  });
});
