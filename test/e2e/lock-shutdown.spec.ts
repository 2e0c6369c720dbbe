import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { filter, firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  Coordination,
  FlowModule,
  InjectLeaderElection,
  InjectMutex,
  InjectReadWriteLock,
  InjectSemaphore,
  LeaderElection,
  Mutex,
  ReadWriteLock,
  Semaphore,
  type Lease,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../support/flow-app.js';
import { useFlowServer } from '../support/flow-server.js';
import { until } from '../support/until.js';

const at = useFlowServer();
/** Of what each path waits for. */
const BUCKETS = {
  mutex: 'flow_lock_busy',
  section: 'flow_lock_section',
  permit: 'flow_semaphore_busy',
  reader: 'flow_rwlock_busy',
  leader: 'flow_election_busy',
};

@Controller()
class Waiting {
  readonly errors: unknown[] = [];

  constructor(
    @InjectMutex('busy') private readonly mutex: Mutex,
    @InjectMutex('section') private readonly section: Mutex,
    @InjectSemaphore('busy') private readonly semaphore: Semaphore,
    @InjectReadWriteLock('busy') private readonly files: ReadWriteLock,
    @InjectLeaderElection('busy') private readonly election: LeaderElection,
  ) {}

  @Get('mutex')
  forMutex() {
    return this.report(this.mutex.acquire('k'));
  }

  @Get('section')
  forSection() {
    return this.report(this.section.runExclusive('k', () => 'never'));
  }

  @Get('permit')
  forPermit() {
    return this.report(this.semaphore.run('k', () => 'never'));
  }

  @Get('reader')
  forReader() {
    return this.report(this.files.acquireShared('k'));
  }

  @Get('leader')
  forLeader() {
    return firstValueFrom(this.election.observe().pipe(filter(({ isLeader }) => isLeader)));
  }

  private async report(waiting: Promise<unknown>): Promise<unknown> {
    return waiting.catch((error: unknown) => {
      this.errors.push(error);
      throw error;
    });
  }
}

async function startHttp() {
  @Module({
    imports: [
      FlowModule.forRoot({ servers: at.url }),
      FlowModule.forFeature({
        mutexes: [{ name: 'busy' }, { name: 'section' }],
        semaphores: [{ name: 'busy', permits: 1 }],
        readWriteLocks: [{ name: 'busy' }],
        elections: [{ name: 'busy' }],
      }),
    ],
    controllers: [Waiting],
  })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl() };
}

/** A lease of each thing that a path waits for. */
async function takeAll(coordination: Coordination): Promise<Lease[]> {
  const election = coordination.election('busy');
  await until(() => election.isLeader, { what: 'the holder to lead' });
  return Promise.all([
    coordination.mutex('busy').acquire('k', { ttl: '1h' }),
    coordination.mutex('section').acquire('k', { ttl: '1h' }),
    coordination.semaphore('busy', { permits: 1 }).acquire('k', { ttl: '1h' }),
    coordination.readWriteLock('busy').acquireExclusive('k', { ttl: '1h' }),
  ]);
}

async function lastRevision(bucket: string): Promise<number> {
  return (await at.streams.manager.streams.info(`KV_${bucket}`)).state.last_seq;
}

describe('the shutdown of an application with requests that wait', () => {
  it('ends, and answers them, though nobody gives back what they wait for', async () => {
    await using holder = await startFlowApp(at.url, []);
    const leases = await takeAll(holder.get(Coordination));
    const before = await Promise.all(Object.values(BUCKETS).map(lastRevision));
    const { app, url } = await startHttp();
    const { errors } = app.get(Waiting);
    const answers = Object.keys(BUCKETS).map((path) => fetch(`${url}/${path}`, { headers: { connection: 'close' } }));
    for (const [index, bucket] of Object.values(BUCKETS).entries()) {
      await until(async () => (await lastRevision(bucket)) > before[index]!, { what: `a waiter in ${bucket}` });
    }

    await app.close();

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([500, 500, 500, 500, 500]);
    expect(errors).toHaveLength(4);
    for (const error of errors) {
      expect(error).toBeInstanceOf(ConnectionError);
      expect((error as Error).message).toContain('the application stops');
    }
    expect(leases.filter(({ signal }) => signal.aborted)).toEqual([]);
    expect(holder.get(Coordination).election('busy').isLeader).toBe(true);
  });
});
