import { describe, expect, it } from 'vitest';
import { CancelledError, OperationTimeoutError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import { makeRateLimiter } from '../../../lib/coordination/rate-limiter/make-rate-limiter.js';
import { MemoryRateLimiter } from '../../../lib/coordination/rate-limiter/memory-rate-limiter.js';
import type { RateLimiterSettings } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openLimiter } from './limiter-fixture.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const TIMEOUT_MS = 200;
const TOOK_LONGER = `took longer than ${TIMEOUT_MS} ms`;

/**
 * A limiter that has had the server's answer, however long the first ones took: on a busy machine any may take longer than its
 * timeout.
 */
async function openBehindProxy(settings: RateLimiterSettings) {
  const proxy = await CuttingProxy.start(at.server);
  const log = recordingLog();
  const one = await openLimiter(proxy.url, { limit: 50, window: '1h', timeout: TIMEOUT_MS, ...settings }, log);
  const says: string[] = [];
  let keys = 0;
  const consume = async (key: string) => {
    const decision = await one.limiter.consume(key);
    const isFallback = decision.source === 'fallback';
    if (isFallback !== (says.at(-1) === 'warn')) says.push(isFallback ? 'warn' : 'log');
    return decision;
  };
  /** Of a key that nobody has used: only the server can know. */
  const isAnswered = async () => (await consume(`new-${++keys}`)).source === 'store';
  await until(isAnswered, { what: 'the first answer' });
  return {
    ...one,
    proxy,
    consume,
    isAnswered,
    /** Levels of what was logged about who decides. */
    said: () => log.lines.filter(({ message }) => message.includes(' decides by ')).map(({ level }) => level),
    /** Levels of what has to be logged: once each time that something else decided than before. */
    says,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

describe.each(['exact', 'leased'] as const)('a server that is connected and silent, %s,', (precision) => {
  it('makes a limiter throw after its timeout', async () => {
    await using one = await openBehindProxy({ name: `throw-${precision}`, precision });
    one.proxy.dropRepliesAfter(0);
    const calls = [one.limiter.consume('silent'), one.limiter.waitFor('silent'), one.limiter.peek('other')];
    const errors = await Promise.all(calls.map((call) => call.then(String, (thrown: unknown) => thrown)));
    const [consumed, waited, peeked] = errors;
    for (const error of [consumed, waited])
      expect(error instanceof OperationTimeoutError || error instanceof OutcomeUnknownError).toBe(true);
    expect(String(peeked)).toContain(TOOK_LONGER);
    expect(one.connection.status).toBe('connected');
    expect(one.said()).toEqual([]);
    one.proxy.restore();
  });

  it.each([
    ['allow', 'allow', 50, [true, true, true]],
    ['deny', 'deny', 50, [false, false, false]],
    ['asks another limiter', () => new MemoryRateLimiter({ limit: 2, window: '1h' }), 2, [true, true, false]],
  ] as const)('makes a limiter do as it is told, after its timeout: %s', async (what, way, limit, allowed) => {
    const onStoreError = typeof way === 'string' ? way : way();
    const name = `${what.replaceAll(' ', '-')}-${precision}`;
    await using one = await openBehindProxy({ name, precision, onStoreError });
    expect(one.said()).toEqual(one.says);
    const before = one.said().length;
    one.proxy.dropRepliesAfter(0);
    expect(await one.limiter.peek('silent')).toMatchObject({ source: 'fallback', allowed: allowed[0], limit });
    for (const expected of allowed)
      expect(await one.consume('silent')).toMatchObject({ source: 'fallback', allowed: expected, limit });
    expect(one.connection.status).toBe('connected');
    expect(one.said().slice(before)).toEqual(['warn']);

    one.proxy.restore();
    await until(one.isAnswered, { what: 'the server answers' });
    expect(one.said().slice(before, before + 2)).toEqual(['warn', 'log']);
    expect(one.said()).toEqual(one.says);
    // Whoever waits gets what the server has, in the end.
    await until(async () => (await one.limiter.waitFor('silent')).source !== 'fallback', {
      what: 'the wait to be over',
    });
  });
});

/** A limiter that was never used, behind a proxy that keeps back what the server answers, for as long as nobody lets it go. */
async function openUnused(settings: RateLimiterSettings) {
  const proxy = await CuttingProxy.start(at.server);
  const own = await openRoom(proxy.url, { connect: { requestTimeout: '1h', publishTimeout: '1h' } });
  const limiter = own.use(makeRateLimiter(own.room, { limit: 50, window: '1h', timeout: TIMEOUT_MS, ...settings }));
  proxy.holdReplies();
  return {
    limiter,
    proxy,
    async [Symbol.asyncDispose]() {
      proxy.deliverReplies();
      await own[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

describe('a server that is silent when a limiter is used for the first time', () => {
  it('makes it throw after its timeout, whatever time requests have', async () => {
    await using one = await openUnused({ name: 'first-throw' });
    const { limiter } = one;
    const calls = [
      limiter.consume('k'),
      limiter.waitFor('k'),
      limiter.peek('k'),
      limiter.reward('k'),
      limiter.reset('k'),
    ];
    await Promise.all(calls.map((call) => expect(call).rejects.toThrow(TOOK_LONGER)));
    // Whoever can wait does.
    const ready = limiter.ready();
    one.proxy.deliverReplies();
    await ready;
    // Nothing has come of them. The server may take longer than the timeout still, on a busy machine.
    const seen = await until(() => limiter.peek('k'), { what: 'a look' });
    expect(seen).toMatchObject({ source: 'store', remaining: 50 });
    await until(async () => (await limiter.consume('k')).source === 'store', { what: 'the server to decide' });
  });

  it('makes it do as it is told after its timeout', async () => {
    await using one = await openUnused({ name: 'first-allow', onStoreError: 'allow' });
    const { limiter } = one;
    const calls = [limiter.consume('k'), limiter.waitFor('k'), limiter.peek('k')];
    for (const call of calls) expect(await call).toMatchObject({ source: 'fallback', allowed: true });
    one.proxy.deliverReplies();
    await until(async () => (await limiter.consume('k')).source === 'store', { what: 'the server to decide' });
  });

  it('does not keep those who give up', async () => {
    await using one = await openUnused({ name: 'first-cancelled', timeout: '1h', onStoreError: 'allow' });
    const controller = new AbortController();
    const call = expect(one.limiter.consume('k', { signal: controller.signal })).rejects.toThrow(CancelledError);
    controller.abort();
    await call;
  });
});
