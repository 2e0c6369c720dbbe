import { describe, expect, it } from 'vitest';
import { ConfigurationError, exponential, flow, FlowModule, json, KvObject } from '../../../lib/index.js';

function problemsOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

class Reducer {
  key(): string {
    return '';
  }
  empty(): number {
    return 0;
  }
  apply(): number {
    return 1;
  }
}

// As JavaScript writes them: the compiler would see the mistakes.
const wrong = (options: object): never => options as never;

describe('an option that there is not', () => {
  it.each([
    ['a module', () => FlowModule.forRoot(wrong({ shutdownTimout: '1s' })), 'shutdownTimout', 'shutdownTimeout'],
    ['a group', () => FlowModule.forRoot(wrong({ tls: { caFiel: 'x' } })), 'caFiel', 'caFile'],
    ['a contract', () => flow('a', wrong({ input: json(), retension: '1d' })), 'retension', 'retention'],
    ['a retry policy', () => exponential('1s', wrong({ attempt: 2 })), 'attempt', 'attempts'],
    ['a state object', () => KvObject<ReturnType<typeof json<number>>>(wrong({ bukket: 'b', bucket: 'b', schema: json() }))(Reducer), 'bukket', 'bucket'], // prettier-ignore
    ['its group', () => KvObject<ReturnType<typeof json<number>>>(wrong({ bucket: 'b', schema: json(), remember: { cont: 1 } }))(Reducer), 'cont', 'count'], // prettier-ignore
  ])('of %s is named with the one that was meant', (_of, make, name, meant) => {
    const told = problemsOf(make).filter((problem) => problem.includes(`there is no option "${name}".`));
    expect(told).toEqual([expect.stringMatching(new RegExp(`Did you mean "${meant}"\\?$`))]);
  });

  it('like no other is named by itself', () => {
    expect(problemsOf(() => flow('a', wrong({ input: json(), priority: 1 })))).toEqual([
      'there is no option "priority".',
    ]);
  });
});
