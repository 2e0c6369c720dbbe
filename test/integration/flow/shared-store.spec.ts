import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import {
  FlowModule,
  getObjectStoreToken,
  InjectObjectStore,
  json,
  KvObject,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { useFlowServer } from '../../support/flow-server.js';

@KvObject({ bucket: 'sums', schema: json<{ sum: number }>('Sum') })
class Sums implements KvReducer<{ sum: number }, number, string> {
  key(of: string): string {
    return of;
  }
  empty(): { sum: number } {
    return { sum: 0 };
  }
  apply(state: { sum: number }, amount: number): void {
    state.sum += amount;
  }
}

@Injectable()
class Cashier {
  constructor(@InjectObjectStore(Sums) readonly store: ObjectStore<Sums>) {}
}

@Module({ imports: [FlowModule.forFeature({ objects: [Sums] })], providers: [Cashier] })
class CashModule {}

@Injectable()
class Accountant {
  constructor(@InjectObjectStore(Sums) readonly store: ObjectStore<Sums>) {}
}

@Module({ imports: [FlowModule.forFeature({ objects: [Sums] })], providers: [Accountant] })
class AccountsModule {}

describe('a state object that several features ask for', () => {
  const nats = useFlowServer();

  it('has one store per connection, so that their updates are committed together', async () => {
    await using app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [
          FlowModule.forRoot({ servers: url }),
          FlowModule.forRoot({ servers: url, key: 'two', flows: [] }),
          CashModule,
          AccountsModule,
          FlowModule.forFeature({ objects: [Sums], key: 'two' }),
        ],
      }),
      { server: nats, logger: false },
    );
    const { store } = app.get(Cashier);
    expect(app.get(Accountant).store).toBe(store);
    expect(app.get(getObjectStoreToken(Sums, 'two'))).not.toBe(store);

    const stores = [store, app.get(Accountant).store];
    await Promise.all(stores.flatMap((of) => Array.from({ length: 200 }, () => of.update('x', 1))));
    expect(await store.read('x')).toEqual({ sum: 400 });
    // A store of its own for each would need more writes, and lose some of them to the other.
    expect((await store.status()).lastRevision).toBeLessThan(5);
  });
});
