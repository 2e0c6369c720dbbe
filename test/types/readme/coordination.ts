import { Injectable, Module } from '@nestjs/common';
import {
  Coordination,
  FlowModule,
  InjectIdGenerator,
  InjectMutex,
  InjectObjectStore,
  InjectSemaphore,
  InjectWaitGroup,
  json,
  KvObject,
  OnLeader,
  OnLeaderLost,
  type IdGenerator,
  type KvReducer,
  type Lease,
  type Mutex,
  type ObjectStore,
  type Semaphore,
  type WaitGroup,
} from 'nestjs-jetstream-flow';

export interface Account {
  balance: number;
  fence?: number;
}

@KvObject({ bucket: 'accounts', schema: json<Account>('Account') })
export class Accounts implements KvReducer<Account, number, string> {
  key(id: string): string {
    return id;
  }

  empty(): Account {
    return { balance: 0 };
  }

  apply(account: Account, amount: number): void {
    account.balance += amount;
  }
}

interface Bank {
  fetchBalance(id: string, signal: AbortSignal): Promise<number>;
}

@Injectable()
export class Statements {
  constructor(
    @InjectMutex('accounts') private readonly mutex: Mutex,
    @InjectObjectStore(Accounts) private readonly accounts: ObjectStore<Accounts>,
  ) {}

  async reconcile(id: string, bank: Bank): Promise<void> {
    await this.mutex.runExclusive(
      id,
      async (lease) => {
        const balance = await bank.fetchBalance(id, lease.signal);
        await this.accounts.modify(id, (account) => {
          account.fence = lease.fence(account.fence); // throws when a later lease has written
          account.balance = balance;
        });
      },
      { wait: '10s' },
    );
  }

  async ifFree(id: string): Promise<boolean> {
    await using lease = await this.mutex.tryAcquire(id);
    if (lease === undefined) return false;
    console.log(`locked ${id} with token ${lease.fencingToken}`);
    return true;
  }
}

@Injectable()
export class Imports {
  constructor(
    @InjectSemaphore('crm') private readonly crm: Semaphore,
    @InjectWaitGroup('imports') private readonly imports: WaitGroup,
    @InjectIdGenerator('tickets') private readonly tickets: IdGenerator,
  ) {}

  async importAll(job: string, parts: readonly string[]): Promise<void> {
    await this.imports.add(job, parts.length, { idempotencyKey: 'begin' });
    // Anywhere, in any process, for each of the parts:
    for (const part of parts) {
      await this.crm.run('api', async () => console.log('import', part, await this.tickets.next('tickets')));
      await this.imports.done(job, { idempotencyKey: part });
    }
    await this.imports.wait(job, { signal: AbortSignal.timeout(60_000) });
  }
}

@Injectable()
export class Cleaner {
  @OnLeader('cleanup')
  async lead({ signal }: Lease): Promise<void> {
    while (!signal.aborted) await this.cleanOnce(signal);
  }

  @OnLeaderLost('cleanup')
  stopped(): void {
    console.log('Another process cleans up now, or none.');
  }

  private async cleanOnce(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  }
}

@Module({
  imports: [
    FlowModule.forFeature({
      objects: [Accounts],
      mutexes: [{ name: 'accounts', ttl: '10s' }],
      semaphores: [{ name: 'crm', permits: 5 }],
      waitGroups: [{ name: 'imports' }],
      idGenerators: [{ name: 'tickets', block: 50 }],
      elections: [{ name: 'cleanup' }],
    }),
  ],
  providers: [Statements, Imports, Cleaner],
})
export class AccountsModule {}

@Injectable()
export class Tenants {
  constructor(private readonly coordination: Coordination) {}

  async migrate(tenant: string, version: number): Promise<void> {
    const lock = this.coordination.readWriteLock('migrations');
    await lock.runExclusive(tenant, () => console.log(`${tenant} goes to version ${version}`));
    await this.coordination.counter('migrated').add(`v${version}`);
  }
}
