import { minutes, type ThrottlerOptions } from '@nestjs/throttler';
import { MemoryRateLimiter, type RateLimiterOptions } from 'nestjs-jetstream-flow';

/** Pages that a user may have made of documents. Everything comes back at once, an hour after the first page. */
export const PAGES = {
  name: 'pages',
  limit: 300,
  window: '1h',
  algorithm: 'fixed-window',
} as const satisfies RateLimiterOptions;

/** What an instance lets through by itself while there is no nats-server, per API key. */
export const READS_WITHOUT_SERVER = { limit: 20, window: '10m', algorithm: 'fixed-window' } as const;

/** Documents that may be read with an API key: exactly so many in whatever ten minutes. */
export const READS = {
  name: 'reads',
  limit: 100,
  window: '10m',
  algorithm: 'sliding-log',
  onStoreError: new MemoryRateLimiter(READS_WITHOUT_SERVER),
} as const satisfies RateLimiterOptions;

/**
 * Translations per API key: both limits allow it, or none of them counts it. Whoever has a key translates all day, so what an
 * instance decides at the same time about different keys is stored together.
 */
export const TRANSLATIONS = {
  name: 'translations',
  shards: 8,
  limits: [
    { name: 'second', limit: 10, window: '1s' },
    { name: 'day', limit: 30, window: '1d', algorithm: 'fixed-window' },
  ],
} as const satisfies RateLimiterOptions;

/** What the mail provider takes of all instances together, evenly. */
export const MAILS = { name: 'mails', limit: 20, window: '1s' } as const satisfies RateLimiterOptions;

/** The status may be asked for so often with an API key. In the words of @nestjs/throttler, which counts it. */
export const STATUS = { limit: 60, ttl: minutes(10) } as const satisfies ThrottlerOptions;
