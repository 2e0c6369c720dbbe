import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { nuid } from '@nats-io/transport-node';
import { expect } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import type { DurableConfig, NamedStreamConfig } from '../../../lib/stream/provision.js';

export const SECOND = 1_000_000_000;
export const DAY = 86_400 * SECOND;

/** Settings as the flow runtime uses them, with a name and subjects of their own. */
export function streamConfig(): NamedStreamConfig & { subjects: string[] } {
  const name = `P${nuid.next()}`;
  return {
    name,
    subjects: [`${name}.>`],
    description: 'a flow',
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_age: 7 * DAY,
    max_msgs: -1,
    max_bytes: 0,
    max_msgs_per_subject: 1,
    num_replicas: 1,
    allow_direct: false,
    allow_rollup_hdrs: true,
    deny_delete: false,
    duplicate_window: 120 * SECOND,
    metadata: { flow: 'orders' },
    republish: { src: `${name}.run.*`, dest: `event.${name}.run.{{wildcard(1)}}` },
  };
}

export function durable(filter: string): DurableConfig {
  return {
    durable_name: 'price',
    description: 'step "price"',
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: 30 * SECOND,
    max_deliver: 25,
    max_ack_pending: 1_000,
    filter_subject: filter,
    metadata: { step: 'price' },
  };
}

/** The problems of the ConfigurationError that `promise` rejects with. */
export async function problems(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  return (error as ConfigurationError).message;
}
