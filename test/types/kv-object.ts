// Compiled by the type check, never run.
import { Injectable } from '@nestjs/common';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { expectTypeOf } from 'vitest';
import { json } from '../../lib/codec/message-schema.js';
import { REMOVED, UNCHANGED } from '../../lib/store/engine/change.js';
import type { InputOf, KeyOf, KeyPattern, KvReducer, StateOf } from '../../lib/store/engine/kv-reducer.js';
import type { ObjectStore } from '../../lib/store/engine/object-store.js';
import type { StoreEntry, WatchEvent } from '../../lib/store/engine/store-entry.js';
import { InjectObjectStore } from '../../lib/store/inject-object-store.decorator.js';
import type { KeyEvent } from '../../lib/store/engine/watch-events.js';
import { OnKvChange } from '../../lib/store/on-kv-change.decorator.js';
import { KvObject } from '../../lib/store/kv-object.decorator.js';

interface Delays {
  flights: number;
  minutes: number;
}
interface Arrived {
  delay: number;
}
const DelaysSchema = json<Delays>('Delays');

@KvObject({ bucket: 'delays', schema: DelaysSchema, ttl: '24h' })
export class AirportDelays implements KvReducer<Delays, Arrived> {
  key(params: { iata: string; hour: number }) {
    return [params.iata, params.hour];
  }
  empty(): Delays {
    return { flights: 0, minutes: 0 };
  }
  apply(state: Delays, input: Arrived) {
    state.flights += 1;
    state.minutes += input.delay;
  }
}

// Everything is inferred from the class.
expectTypeOf<StateOf<AirportDelays>>().toEqualTypeOf<Delays>();
expectTypeOf<InputOf<AirportDelays>>().toEqualTypeOf<Arrived>();
expectTypeOf<KeyOf<AirportDelays>>().toEqualTypeOf<{ iata: string; hour: number }>();
expectTypeOf<KeyPattern<{ iata: string; hour: number }>>().toEqualTypeOf<{
  readonly iata: string;
  readonly hour: number | '*' | '>';
}>();

@Injectable()
export class Service {
  constructor(@InjectObjectStore(AirportDelays) private readonly delays: ObjectStore<AirportDelays>) {}

  async use() {
    const key = { iata: 'SFO', hour: 7 };
    expectTypeOf(await this.delays.update(key, { delay: 3 })).toEqualTypeOf<Delays>();
    expectTypeOf(await this.delays.read(key)).toEqualTypeOf<Delays | undefined>();
    expectTypeOf(await this.delays.readEntry(key)).toEqualTypeOf<StoreEntry<Delays> | undefined>();
    for await (const event of this.delays.watch({ iata: '*', hour: '*' })) {
      expectTypeOf(event).toEqualTypeOf<WatchEvent<Delays>>();
      if (event.type === 'value') await this.delays.delete(event.key);
    }
    for await (const stored of this.delays.keys()) await this.delays.read(stored);
    // @ts-expect-error: the key lacks a part
    await this.delays.update({ iata: 'SFO' }, { delay: 3 });
    // @ts-expect-error: no such input
    await this.delays.update(key, { late: 3 });
    // @ts-expect-error: a state needs parameters, not a stored key, for when it is made
    for await (const stored of this.delays.keys()) await this.delays.update(stored, { delay: 1 });

    // A modified entry is there afterwards, unless the function may remove or leave it.
    const changed = await this.delays.modify(key, (draft) => {
      draft.flights += 1;
    });
    expectTypeOf(changed).toEqualTypeOf<Delays>();
    expectTypeOf(await this.delays.modify(key, () => ({ flights: 1, minutes: 1 }))).toEqualTypeOf<Delays>();
    expectTypeOf(await this.delays.modify(key, (draft) => (draft.flights > 9 ? REMOVED : draft))).toEqualTypeOf<
      Delays | undefined
    >();
    expectTypeOf(await this.delays.modify(key, ({ flights }) => (flights > 9 ? UNCHANGED : undefined))).toEqualTypeOf<
      Delays | undefined
    >();
    // @ts-expect-error: not a state
    await this.delays.modify(key, () => ({ flights: 1 }));
    // @ts-expect-error: must be synchronous
    await this.delays.modify(key, async (draft) => draft);
  }
}

// Keys of one part need no array, and parameters may be the part itself.
@KvObject({ bucket: 'last-seen', schema: TimestampSchema })
export class LastSeen implements KvReducer<Timestamp, Timestamp, string> {
  key(user: string) {
    return user;
  }
  empty(): Timestamp {
    throw new Error('never read before written');
  }
  apply(_state: Timestamp, input: Timestamp) {
    return input;
  }
}
expectTypeOf<StateOf<LastSeen>>().toEqualTypeOf<Timestamp>();
expectTypeOf<KeyPattern<string>>().toEqualTypeOf<string>();

// @ts-expect-error: the reducer's state is not the schema's message
@KvObject({ bucket: 'delays', schema: TimestampSchema })
export class Mismatched implements KvReducer<Delays, Arrived, string> {
  key = (id: string) => id;
  empty = (): Delays => ({ flights: 0, minutes: 0 });
  apply(state: Delays, input: Arrived) {
    state.minutes += input.delay;
  }
}

// @ts-expect-error: apply is asynchronous
@KvObject({ bucket: 'delays', schema: DelaysSchema })
export class Asynchronous {
  key = (id: string) => id;
  empty = (): Delays => ({ flights: 0, minutes: 0 });
  async apply(state: Delays, input: Arrived) {
    state.minutes += input.delay;
  }
}

// @ts-expect-error: no duration
KvObject({ bucket: 'delays', schema: DelaysSchema, ttl: 'a day' });

export class Board {
  @OnKvChange(AirportDelays)
  all(change: KeyEvent<Delays>): void {
    if (change.type === 'value') expectTypeOf(change.state).toEqualTypeOf<Delays>();
  }

  @OnKvChange(AirportDelays, { key: { iata: 'SFO', hour: '*' }, from: 'last', connection: 'other' })
  async some(): Promise<void> {}

  // @ts-expect-error: takes another state
  @OnKvChange(AirportDelays)
  other(change: KeyEvent<Arrived>): void {}

  // @ts-expect-error: no such part of the key
  @OnKvChange(AirportDelays, { key: { iata: 'SFO', minute: 1 } })
  wrong(): void {}
}
