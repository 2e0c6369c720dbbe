import type { ConsumerInfo } from '@nats-io/jetstream';
import { ConfigurationError } from '../common/errors.js';
import { callApi } from './jetstream-api.js';
import type { StreamConnection } from './stream-connection.js';
import { subjectCovers } from './subject-pattern.js';

/** A consumer as it stands. */
export interface ConsumerSummary {
  readonly name: string;
  readonly description: string | undefined;
  /** Filter subjects; none for everything. */
  readonly filters: readonly string[];
  /** Messages it has not delivered yet: its backlog, without those being worked on. */
  readonly pending: number;
  /** Messages delivered and not acknowledged. */
  readonly ackPending: number;
}

/**
 * All consumers of a stream, short-lived ones of watches and lists too.
 *
 * @throws JetStreamRequestError when there is no such stream.
 */
export async function listConsumers(connection: StreamConnection, stream: string): Promise<ConsumerSummary[]> {
  const infos = await callApi(`list the consumers of stream "${stream}"`, () =>
    // nats-server 2.9 lists a consumer that is going away at this moment as null.
    collect<ConsumerInfo | null>(connection.manager.consumers.list(stream)),
  );
  return infos
    .filter((info) => info !== null)
    .map(({ name, config, num_pending: pending, num_ack_pending: ackPending }) => ({
      name,
      description: config.description,
      filters: config.filter_subjects ?? (config.filter_subject === undefined ? [] : [config.filter_subject]),
      pending,
      ackPending,
    }));
}

/**
 * The stream that stores everything published to `subject`, a subject or a pattern; undefined when none
 * stores any of it.
 *
 * @throws ConfigurationError when a pattern is stored by several streams, or only in part.
 */
export async function findStreamBySubject(connection: StreamConnection, subject: string): Promise<string | undefined> {
  const names = await streamNamesBySubject(connection, subject);
  const [name] = names;
  if (name === undefined) return undefined;
  if (names.length > 1) {
    throw new ConfigurationError(`Subject "${subject}"`, [
      `is spread over the streams "${names.join('", "')}". Use one pattern for each of them`,
    ]);
  }
  const info = await callApi(`look for stream "${name}"`, () => connection.manager.streams.info(name));
  const { subjects } = info.config;
  if (!subjects.some((stored) => subjectCovers(stored, subject))) {
    throw new ConfigurationError(`Subject "${subject}"`, [
      `is stored by stream "${name}" only in part (${subjects.join(', ')}). ` +
        'Add it to the stream, or use a pattern that the stream covers',
    ]);
  }
  return name;
}

/** Names of the streams that store any subject matching `subject`. */
export function streamNamesBySubject(connection: StreamConnection, subject: string): Promise<string[]> {
  return callApi(`look for the stream of "${subject}"`, () => collect(connection.manager.streams.names(subject)));
}

async function collect<T>(lister: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of lister) items.push(item);
  return items;
}
