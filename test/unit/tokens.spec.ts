import { describe, expect, it } from 'vitest';
import { getFlowToken, getObjectStoreToken, type KvObjectClass } from 'nestjs-jetstream-flow';

/** Classes as a bundler leaves them that shortens names. */
function mangled(): KvObjectClass {
  class t {
    readonly own = true;
  }
  return t as unknown as KvObjectClass;
}

describe('injection tokens', () => {
  const [one, other] = [mangled(), mangled()];

  it('of the default connection are the classes', () => {
    expect(getFlowToken(one)).toBe(one);
  });

  it.each([
    ['of a connection', (type: KvObjectClass) => getFlowToken(type, 'billing')],
    ['of a store', (type: KvObjectClass) => getObjectStoreToken(type)],
    ['of a store of a connection', (type: KvObjectClass) => getObjectStoreToken(type, 'billing')],
  ])('%s are the same for one class, and others for a class of the same name', (_what, tokenOf) => {
    expect(one.name).toBe(other.name);
    expect(tokenOf(one)).toBe(tokenOf(one));
    expect(tokenOf(one)).not.toBe(tokenOf(other));
  });

  it('differ by key and kind, and a subclass has its own', () => {
    const parent = mangled();
    const child = class extends (parent as new () => object) {} as unknown as KvObjectClass;
    const tokens = [parent, child].flatMap((type) => [
      getFlowToken(type, 'a'),
      getFlowToken(type, 'b'),
      getObjectStoreToken(type),
      getObjectStoreToken(type, 'a'),
      getObjectStoreToken(type, 'b'),
    ]);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('say in error messages what they are for', () => {
    expect(String(getFlowToken(one, 'billing'))).toBe('Symbol(t:billing)');
    expect(String(getObjectStoreToken(one, 'billing'))).toBe('Symbol(ObjectStore<t>:billing)');
  });
});
