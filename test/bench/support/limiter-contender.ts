/**
 * One contender of the rate limiters' bench, in this process; see {@link ContenderProcess}. Arguments: its name, address of the
 * nats-server, port of Redis.
 */
import 'reflect-metadata';
import { on } from 'node:events';
import type { MeasureRequest, Measured } from './contender-process.js';
import { CALLERS, limiterContenders, type LimiterContender } from './limiter-contenders.js';

/** A look at the clock and a turn of the event loop cost several times what a leased decision does. */
const CALLS_PER_LOOK = 64;

/** Before each measurement, the same without measuring: units that were leased before the others had their turns are over by then. */
const LEAD_IN_SECONDS = 2;

async function measure({ decide, keyOf }: LimiterContender, seconds: number): Promise<Measured> {
  const used = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      for (let call = 0; call < CALLS_PER_LOOK; call += 1) {
        const decision = await decide(keyOf(done++));
        if ('allowed' in decision && decision.allowed !== true) throw new Error('denied below the limit');
      }
      // A decision that needs no round trip would keep the event loop, and no timer or reply would come through.
      await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const { user, system } = process.cpuUsage(used);
  return { rate: (done / (performance.now() - started)) * 1000, cpu: (user + system) / done };
}

process.once('disconnect', () => process.exit());
const [name = '', natsUrl = '', redisPort] = process.argv.slice(2);
const contender = await limiterContenders[name]?.({ natsUrl, redisPort: Number(redisPort) });
if (contender === undefined) throw new Error(`there is no contender "${name}"`);
const requests = on(process, 'message') as AsyncIterable<[MeasureRequest]>;
process.send?.('ready');
for await (const [{ seconds }] of requests) {
  await measure(contender, LEAD_IN_SECONDS);
  process.send?.(await measure(contender, seconds));
}
