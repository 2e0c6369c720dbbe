import { expect, it } from 'vitest';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
const OPTIONS = { name: 'anew', limit: 1, window: '1h', shards: 1, timeout: '10s' } as const;
const STREAM = 'KV_flow_shard_anew';
const keys = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

/** Runs `interrupt` when the connection reads its first single revision of the bucket, and lets that read never come back. */
function onFirstReading(connection: FlowConnection, interrupt: () => Promise<void>): { readonly reads: () => number } {
  const { direct } = connection.manager;
  const real = direct.getMessage.bind(direct);
  let reads = 0;
  direct.getMessage = (stream, query) => {
    if (stream !== STREAM || !('seq' in query) || ++reads > 1) return real(stream, query);
    return interrupt().then(() => Promise.reject(new Error('the answer was lost')));
  };
  return { reads: () => reads };
}

it('does not mix a bucket with the one that was made anew while a shard was read back', async () => {
  await using writer = await openLimiter(at.url, OPTIONS);
  for (const key of keys('old', 70)) await writer.limiter.consume(key);
  await using proxy = await CuttingProxy.start({ port: Number(new URL(at.url).port) });
  await using reader = await openLimiter(proxy.url, OPTIONS);
  const readings = onFirstReading(reader.connection, async () => {
    proxy.rejectNew(true);
    proxy.cut();
    await until(() => reader.connection.status === 'disconnected', { what: 'the connection is lost' });
    await at.streams.manager.streams.delete(STREAM);
    await using other = await openLimiter(at.url, OPTIONS);
    // Revisions and numbers go on from where those of the old bucket were.
    for (const key of keys('new', 72)) await other.limiter.consume(key);
    proxy.rejectNew(false);
  });
  expect((await reader.limiter.peek('old-69')).allowed).toBe(true);
  expect(readings.reads()).toBeGreaterThan(1);
  for (const key of keys('new', 72)) expect((await reader.limiter.consume(key)).allowed, key).toBe(false);
  for (const key of keys('old', 70)) expect((await reader.limiter.peek(key)).allowed, key).toBe(true);
});
