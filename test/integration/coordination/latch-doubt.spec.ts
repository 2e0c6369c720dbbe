import { expect, it } from 'vitest';
import { CancelledError } from '../../../lib/common/errors.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

it('a latch tells whoever repeats a call that it has set it, when the first answer was lost', async () => {
  await using proxy = await CuttingProxy.start(at.server);
  await using own = await openRoom(proxy.url);
  await using other = await openRoom(at.url);
  const latch = own.use(makeLatch(own.room, { name: 'again' }));
  const others = other.use(makeLatch(other.room, { name: 'again' }));
  // After many that were new, the next one is taken for new too: setting it needs no read.
  for (let index = 0; index < 32; index++) await latch.set(`other-${index}`, 1);
  const abort = new AbortController();
  proxy.dropRepliesAfter(0);
  const once = { idempotencyKey: 'a' };
  const lost = expect(latch.set('go', 2, { ...once, signal: abort.signal })).rejects.toThrow(CancelledError);
  await until(async () => (await others.count('go')) === 2, { what: 'the latch to be set' });
  abort.abort();
  await lost;
  expect(await others.set('go', 2, { idempotencyKey: 'b' })).toBe(false);
  expect(await others.countDown('go')).toBe(1);
  proxy.restore();
  expect(await latch.set('go', 2)).toBe(false);
  expect(await latch.set('go', 2, once)).toBe(true);
  // Whoever was not the first is not when it asks again.
  expect(await others.set('go', 2, { idempotencyKey: 'b' })).toBe(false);
  expect(await others.count('go')).toBe(1);
  // The key names the work of one call, not of all that have it.
  expect(await latch.countDown('go', 1, once)).toBe(0);
});
