import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { ServerClock } from '../../../lib/coordination/clock/server-clock.js';
import { CoordinationRoom } from '../../../lib/coordination/coordination-room.js';
import { makeRateLimiter } from '../../../lib/coordination/rate-limiter/make-rate-limiter.js';
import type { RateLimiter } from '../../../lib/coordination/rate-limiter/rate-limiter.js';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import type { Log } from '../../../lib/common/log.js';
import { FlowMeter } from '../../../lib/telemetry/metrics.js';
import { FlowTracer } from '../../../lib/telemetry/tracer.js';
import { silentLog } from '../../support/log.js';

/** A limiter on a connection of its own; everything closed together. */
export async function openLimiter(
  url: string,
  options: RateLimiterOptions,
  log: Log = silentLog,
): Promise<
  { limiter: RateLimiter; room: CoordinationRoom; connection: FlowConnection; clock: ServerClock } & AsyncDisposable
> {
  const connection = await FlowConnection.connect({ servers: url, reconnectWait: '50ms' }, silentLog);
  const room = new CoordinationRoom({
    connection,
    mode: 'auto',
    log,
    tracer: new FlowTracer(),
    meter: new FlowMeter(),
    defaults: {},
  });
  const limiter = makeRateLimiter(room, options);
  await limiter.ready();
  return {
    limiter,
    room,
    connection,
    clock: await room.clock(),
    async [Symbol.asyncDispose]() {
      await limiter.close();
      await room.close();
      await connection.close();
    },
  };
}
