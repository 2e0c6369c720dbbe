import { expect, it, vi } from 'vitest';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
it.each(['consume', 'peek'] as const)(
  'a limiter that loses the connection while it reads a shard back forgets nothing: %s',
  async (call) => {
    await using proxy = await CuttingProxy.start(at.server);
    const options = { name: `cut-${call}`, limit: 1, window: '1h', shards: 1, timeout: '10s' } as const;
    await using one = await openLimiter(at.url, options);
    for (const key of ['a', 'b', 'c', 'd']) await one.limiter.consume(key);
    await using late = await openLimiter(proxy.url, options);
    const { manager } = late.connection;
    let cuts = 0;
    // The last message is known by then, those before it are not.
    const cutting = <Q, A>(read: (stream: string, query: Q) => A) => {
      return (stream: string, query: Q): A => {
        if ('seq' in (query as object) && cuts++ === 0) proxy.cut();
        return read(stream, query);
      };
    };
    const { streams, direct } = manager;
    // Bound before anything stands in their place.
    const [leader, replica] = [streams.getMessage.bind(streams), direct.getMessage.bind(direct)];
    const spies = [
      vi.spyOn(streams, 'getMessage').mockImplementation(cutting(leader)),
      vi.spyOn(direct, 'getMessage').mockImplementation(cutting(replica)),
    ];
    const decision = await late.limiter[call]('a');
    for (const spy of spies) spy.mockRestore();
    expect(cuts).toBeGreaterThan(0);
    expect(decision.allowed).toBe(false);
    for (const key of ['b', 'c', 'd']) expect((await one.limiter.peek(key)).allowed, key).toBe(false);
  },
);
