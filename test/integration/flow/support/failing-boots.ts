/** Applications with two connections whose boot fails, each in another place. */
import type { ModuleMetadata } from '@nestjs/common';
import {
  flow,
  FlowConnection,
  FlowModule,
  FlowStep,
  json,
  KvObject,
  type FlowModuleOptions,
  type KvReducer,
} from '../../../../lib/index.js';

const Text = json<string>('Text');
const First = flow('first', { input: Text, output: Text });
const Second = flow('second', { input: Text, output: Text });

class Steps {
  @FlowStep({ flow: First })
  one(text: string): string {
    return text;
  }
  @FlowStep({ flow: Second })
  two(text: string): string {
    return text;
  }
}

class WrongSteps {
  @FlowStep({ flow: First, after: 'nobody' })
  one(text: string): string {
    return text;
  }
}

/** Its bucket is there already, in memory. */
@KvObject({ bucket: 'in_memory', schema: json<{ sum: number }>('Sum'), storage: 'file' })
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

/** Addresses of the two connections, and one where nobody listens. */
export interface Addresses {
  readonly one: string;
  readonly two: string;
  readonly nobody: string;
}

const DURABLE = { durability: 'file' } as const;

function connections({ one, two }: Addresses, ofTwo: FlowModuleOptions = {}): NonNullable<ModuleMetadata['imports']> {
  return [
    FlowModule.forRoot({ servers: one, name: 'one', flows: [First], ...DURABLE }),
    FlowModule.forRoot({ servers: two, name: 'two', flows: [Second], ...DURABLE, ...ofTwo, key: 'two' }),
  ];
}

/** Asked when the default connection is there. */
function fail(_connection: FlowConnection): never {
  throw new Error('no settings');
}

/** By where the boot fails: the module, and what the error says. `FLOW_first` or `FLOW_second` is there in memory. */
export const FAILING_BOOTS: Readonly<
  Record<
    string,
    { readonly stream?: string; readonly module: (addresses: Addresses) => ModuleMetadata; readonly says: RegExp }
  >
> = {
  'a bucket of the default connection': {
    module: (addresses) => ({
      imports: [...connections(addresses), FlowModule.forFeature({ objects: [Sums] })],
      providers: [Steps],
    }),
    says: /in_memory.*storage/s,
  },
  'a bucket of the other connection': {
    module: (addresses) => ({
      imports: [...connections(addresses), FlowModule.forFeature({ objects: [Sums], key: 'two' })],
      providers: [Steps],
    }),
    says: /in_memory.*storage/s,
  },
  'a bucket, while the other connection waits for its server': {
    module: (addresses) => ({
      imports: [...connections(addresses, { servers: addresses.nobody }), FlowModule.forFeature({ objects: [Sums] })],
    }),
    says: /in_memory.*storage/s,
  },
  'the options of the other connection': {
    module: ({ one }) => ({
      imports: [
        FlowModule.forRoot({ servers: one }),
        FlowModule.forRootAsync({ key: 'two', inject: [FlowConnection], useFactory: fail }),
      ],
    }),
    says: /no settings/,
  },
  'the other connection': {
    module: (addresses) => ({
      imports: connections(addresses, { servers: addresses.nobody, whenAbsent: 'fail' }),
    }),
    says: /not reachable/,
  },
  'the steps': {
    module: (addresses) => ({ imports: connections(addresses), providers: [WrongSteps] }),
    says: /nobody/,
  },
  'a stream of the default connection': {
    stream: 'first',
    module: (addresses) => ({ imports: connections(addresses), providers: [Steps] }),
    says: /FLOW_first.*storage/s,
  },
  'a stream of the other connection': {
    stream: 'second',
    module: (addresses) => ({ imports: connections(addresses), providers: [Steps] }),
    says: /FLOW_second.*storage/s,
  },
};
