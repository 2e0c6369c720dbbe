import type { ConsumerInfo } from '@nats-io/jetstream';
import { ConfigurationError, NotFoundError } from '../common/errors.js';
import { ApiCode, callApi, isApiError } from './jetstream-api.js';
import type { StreamConnection } from './stream-connection.js';

const NANOS_PER_MS = 1_000_000;

/** A durable pull consumer, and how to make it when it is not there. */
export interface ConsumerReference {
  readonly stream: string;
  readonly consumer: string;
  readonly recreate?: () => Promise<void>;
}

/** What the consumer allows a pull request to ask for; infinite where it sets no limit. */
export interface PullLimits {
  readonly batch: number;
  readonly expiresMs: number;
}

/**
 * Makes sure that the consumer is there, with the help of `recreate` when it is not.
 *
 * @throws NotFoundError when it is not there and there is no `recreate`; ConfigurationError when it is a push
 * consumer; ConnectionError without answer; what `recreate` throws.
 */
export async function lookForConsumer(connection: StreamConnection, reference: ConsumerReference): Promise<PullLimits> {
  const { stream, consumer, recreate } = reference;
  const name = `Consumer "${consumer}" of stream "${stream}"`;
  const look = (): Promise<ConsumerInfo> =>
    callApi(`look for ${name}`, () => connection.manager.consumers.info(stream, consumer));
  let info: ConsumerInfo;
  try {
    info = await look();
  } catch (error) {
    if (!isApiError(error, ApiCode.consumerNotFound, ApiCode.streamNotFound)) throw error;
    if (recreate === undefined) {
      throw new NotFoundError(`${name} does not exist. Create it, or turn provisioning on.`, { cause: error });
    }
    await recreate();
    info = await look();
  }
  if (info.config.deliver_subject !== undefined) {
    throw new ConfigurationError(name, [
      'is a push consumer, a pull consumer is needed. Delete it or choose another name',
    ]);
  }
  const { max_batch: batch = 0, max_expires: expires = 0 } = info.config;
  return {
    batch: batch > 0 ? batch : Number.POSITIVE_INFINITY,
    expiresMs: expires > 0 ? expires / NANOS_PER_MS : Number.POSITIVE_INFINITY,
  };
}
