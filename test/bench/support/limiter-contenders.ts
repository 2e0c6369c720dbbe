import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { Coordination, FlowModule, type RateLimiterOptions } from '../../../lib/index.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { silentLog } from '../../support/log.js';

/** Who asks at a time, each for one decision. */
export const CALLERS = 256;
/** Keys of those who have many. */
export const KEYS = 10_000;
const LIMIT = 1_000_000_000;

/** The servers of a run, the same for all contenders. */
export interface LimiterServers {
  readonly natsUrl: string;
  /** NaN when there is no Redis. */
  readonly redisPort: number;
}

/** Who decides, and about which key each time. */
export interface LimiterContender {
  readonly decide: (key: string) => Promise<object>;
  readonly keyOf: (index: number) => string;
}

/** Makes a contender, in a process where it is alone. */
export type MakeContender = (servers: LimiterServers) => Promise<LimiterContender>;

const hot = (): string => 'hot';
const many = (index: number): string => `key-${index % KEYS}`;

/** All of them by their names; those on Redis begin with `redis`. See {@link redisBeside} for who is compared with whom. */
export const limiterContenders: Readonly<Record<string, MakeContender>> = {
  'exact, hot key': ours('exact_hot', {}, hot),
  'leased, hot key': ours('leased_hot', { precision: 'leased' }, hot),
  [`exact, ${KEYS} keys`]: ours('exact_many', {}, many),
  [`exact, ${KEYS} keys, 8 shards`]: ours('shards', { shards: 8 }, many),
  [`leased, ${KEYS} keys`]: ours('leased_many', { precision: 'leased' }, many),
  [`publish, ${KEYS} keys`]: barePublish,
  'redis, hot key': flexible(hot),
  [`redis, ${KEYS} keys`]: flexible(many),
};

/** The contender on Redis with as many keys. */
export function redisBeside(name: string): string {
  return `redis, ${name.includes(`${KEYS} keys`) ? `${KEYS} keys` : 'hot key'}`;
}

/** A limiter of this name and with these options, in an application of its own. */
function ours(name: string, options: Partial<RateLimiterOptions>, keyOf: LimiterContender['keyOf']): MakeContender {
  return async ({ natsUrl }) => {
    @Module({ imports: [FlowModule.forRoot({ servers: natsUrl })] })
    class BenchModule {}
    const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
    const limiter = app.get(Coordination).rateLimiter(name, { limit: LIMIT, window: '1h', ...options });
    await limiter.ready();
    return { decide: (key) => limiter.consume(key), keyOf };
  };
}

/** Writes keys by compare-and-set. Two writes of one key are never on their way: its turn comes again after all others. */
async function barePublish({ natsUrl }: LimiterServers): Promise<LimiterContender> {
  const connection = await FlowConnection.connect({ servers: natsUrl }, silentLog);
  const plain = await connect({ servers: natsUrl });
  await new Kvm(plain).create('bare', { history: 1 });
  await plain.close();
  const revisions = new Map<string, number>();
  const state = Buffer.alloc(40, 1);
  const decide = async (key: string): Promise<object> => {
    const options = { expectLastSubjectSequence: revisions.get(key) ?? 0 };
    const acknowledged = await connection.publisher.publish(`$KV.bare.${key}`, state, options);
    revisions.set(key, acknowledged.sequence);
    return acknowledged;
  };
  return { decide, keyOf: many };
}

function flexible(keyOf: LimiterContender['keyOf']): MakeContender {
  return async ({ redisPort }) => {
    const storeClient = new Redis({ port: redisPort });
    storeClient.on('error', (error) => {
      throw error;
    });
    await storeClient.ping();
    const limiter = new RateLimiterRedis({ storeClient, points: LIMIT, duration: 3_600 });
    return { decide: (key) => limiter.consume(key), keyOf };
  };
}
