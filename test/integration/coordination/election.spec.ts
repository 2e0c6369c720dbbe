import { Injectable, Scope, type Type } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  Coordination,
  FlowModule,
  InjectLeaderElection,
  LeaderElection,
  LockLostError,
  OnLeader,
  OnLeaderLost,
  type Lease,
  type Leadership,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import type { CandidateMessage } from './support/election-candidate.js';
import { TableHistory } from './support/table-history.js';
import { ToldProcess } from './support/told-process.js';

const at = useFlowServer();

@Injectable()
class Cleanup {
  readonly events: string[] = [];
  lease: Lease | undefined;

  constructor(@InjectLeaderElection('cleanup') readonly election: LeaderElection) {}

  @OnLeader('cleanup')
  lead(lease: Lease): void {
    this.lease = lease;
    this.events.push('leads');
  }

  @OnLeaderLost('cleanup')
  stop(): void {
    this.events.push(`lost, aborted: ${this.lease?.signal.aborted}`);
  }
}

function startCandidate(url = at.url, providers: Type[] = [Cleanup]): Promise<FlowApp> {
  const elections = [{ name: 'cleanup', ttl: '2s' as const }];
  return startFlowApp(url, providers, {}, [FlowModule.forFeature({ elections })]);
}

describe('an election', () => {
  it('has one leader, and another one at once when that stops', async () => {
    const apps = await Promise.all([startCandidate(), startCandidate(), startCandidate()]);
    const leaders = (): FlowApp[] => apps.filter((app) => app.get(Cleanup).election.isLeader);
    await until(() => leaders().length === 1, { what: 'a leader' });
    const [first] = leaders();
    const { fencingToken } = first!.get(Cleanup).lease!;
    await first!.close();
    expect(first!.get(Cleanup).events).toEqual(['leads', 'lost, aborted: true']);
    await until(() => leaders().length === 1, { what: 'the next leader' });
    const [second] = leaders();
    expect(second).not.toBe(first);
    expect(second!.get(Cleanup).lease!.fencingToken).toBeGreaterThan(fencingToken);
    for (const app of apps) await app.close();
  });

  it('has another leader when the process of the first is killed', { timeout: 120_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    const script = new URL('./support/election-candidate.ts', import.meta.url);
    const start = (): Promise<ToldProcess<CandidateMessage>> => ToldProcess.start(script, [server.url, '1500']);
    await using first = await start();
    const { token } = await first.told('leads');
    await using history = await TableHistory.follow(server.url, 'flow_election_test', 'leader');
    await using second = await start();
    await using third = await start();
    await first.kill();
    const others = [second, third];
    const next = await until(() => others.find(({ last }) => last?.type === 'leads'), {
      what: 'another process to lead',
      timeoutMs: 60_000,
    });
    expect(next.last?.token).toBeGreaterThan(token!);
    await history.expectTakeover();
    expect(others.filter(({ last }) => last?.type === 'leads')).toEqual([next]);
  });

  it('tells those who observe how it is and what changes', async () => {
    await using app = await startCandidate();
    const { election } = app.get(Cleanup);
    const seen: boolean[] = [];
    const subscription = election.observe().subscribe(({ isLeader }: Leadership) => seen.push(isLeader));
    await until(() => election.isLeader, { what: 'to lead' });
    const token = election.lease!.fencingToken;
    election.resign();
    await until(() => (election.lease?.fencingToken ?? 0) > token, { what: 'to lead again' });
    subscription.unsubscribe();
    expect(seen).toEqual([false, true, false, true]);
  });

  it('ends a term when the server is away for longer than it lasts', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using app = await startCandidate(server.url);
    const cleanup = app.get(Cleanup);
    await until(() => cleanup.election.isLeader, { what: 'to lead' });
    const lease = cleanup.lease!;
    await server.kill();
    await until(() => !cleanup.election.isLeader, { what: 'the term to end' });
    expect(lease.signal.reason).toBeInstanceOf(LockLostError);
    expect(cleanup.events).toEqual(['leads', 'lost, aborted: true']);
    await server.restart();
    await until(() => cleanup.election.isLeader, { what: 'to lead again', timeoutMs: 20_000 });
    expect(cleanup.lease!.fencingToken).toBeGreaterThan(lease.fencingToken);
  });

  it('needs no method that returns before the term ends', async () => {
    @Injectable()
    class Loop {
      readonly ended: string[] = [];

      @OnLeader('cleanup')
      async run({ signal }: Lease): Promise<void> {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        this.ended.push('loop');
        throw new Error('is logged');
      }
    }
    const app = await startCandidate(at.url, [Loop]);
    await until(() => app.get(Coordination).election('cleanup').isLeader, { what: 'to lead' });
    const loop = app.get(Loop);
    await app.close();
    expect(loop.ended).toEqual(['loop']);
  });

  it('goes to another process when a method throws, and comes back to the one that threw', async () => {
    @Injectable()
    class Faulty {
      terms = 0;
      fails = true;

      @OnLeader('cleanup')
      lead(): void {
        this.terms += 1;
        if (this.fails) throw new Error('cannot lead');
      }
    }
    await using first = await startCandidate(at.url, [Faulty]);
    const faulty = first.get(Faulty);
    await until(() => faulty.terms > 0, { what: 'the first term' });
    const second = await startCandidate();
    const { election } = second.get(Cleanup);
    await until(() => election.isLeader, { what: 'the other one to lead' });
    faulty.fails = false;
    await second.close();
    const own = first.get(Coordination).election('cleanup');
    await until(() => own.isLeader, { what: 'to lead again' });
    expect(faulty.terms).toBeGreaterThan(1);
  });

  it('refuses names that no feature lists, and says which one may be meant', async () => {
    @Injectable()
    class Mistyped {
      @OnLeader('clenup')
      lead(): void {}
    }
    const boot = startCandidate(at.url, [Mistyped]);
    await expect(boot).rejects.toThrow(/Mistyped\.lead: there is no election "clenup"\. Did you mean "cleanup"\?/);
  });

  it('refuses methods that nobody could call', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @OnLeader('x')
      lead(): void {}
    }
    @Injectable()
    class Elsewhere {
      @OnLeaderLost('x', { connection: 'nowhere' })
      lost(): void {}
    }
    const boot = startFlowApp(at.url, [PerRequest, Elsewhere]);
    await expect(boot).rejects.toThrow(/request-scoped[^]*no connection "nowhere"/);
  });
});
