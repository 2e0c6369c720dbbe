import type { ConsumerConfig, ConsumerInfo } from '@nats-io/jetstream';
import { ConfigurationError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { configDifferences, describeDifference, type ConfigDifference } from './config-difference.js';
import { ApiCode, callApi, isApiError } from './jetstream-api.js';
import { rethrowRefusal, type ProvisionMode } from './provision-mode.js';
import type { StreamConnection } from './stream-connection.js';

/** Settings of a durable pull consumer; those left out are the server's defaults and are not compared. */
export type DurableConfig = Partial<ConsumerConfig> & { readonly durable_name: string };

/** Settings that may change on a living consumer; every other difference makes it another consumer. */
const UPDATABLE = new Set([
  'description',
  'metadata',
  'ack_wait',
  'backoff',
  'max_deliver',
  'max_ack_pending',
  'max_batch',
  'max_expires',
  'max_bytes',
  'inactive_threshold',
  'num_replicas',
  'sample_freq',
  'headers_only',
]);

/**
 * Makes sure that the durable pull consumer is there with these settings. Idempotent; any number of processes
 * may do it at once. The server would overwrite a consumer of the same name without a word; this does not:
 * another kind of consumer stays untouched. Other filters are taken over only by a consumer that carries our
 * own `description`.
 *
 * @throws ConfigurationError naming each setting that cannot be met, what the consumer has, and the remedy;
 * with `verify` also when the consumer is missing or differs. UnsupportedByServerError for several filters on
 * a server before 2.10. JetStreamRequestError when there is no such stream.
 */
export async function provisionConsumer(
  connection: StreamConnection,
  stream: string,
  config: DurableConfig,
  mode: ProvisionMode,
  log: Log,
): Promise<void> {
  if (mode === 'off') return;
  const wanted = forServer(connection, config);
  const name = where(stream, config.durable_name);
  const existing = await findConsumer(connection, stream, config.durable_name);
  if (existing !== undefined) return matchConsumer(connection, stream, wanted, existing, mode, log);
  if (mode === 'verify') throw new ConfigurationError(name, ['does not exist. Create it, or provision with "auto"']);
  try {
    const created = await callApi(`create ${name}`, () => connection.manager.consumers.add(stream, { ...wanted }));
    refuseIgnored(connection, stream, wanted, created);
    log.log(`${name} created.`);
  } catch (error) {
    if (!isApiError(error, ApiCode.consumerAlreadyExists, ApiCode.consumerNameInUse)) {
      rethrowRefusal(name, [], 'Change the settings', error);
    }
    // Another process was quicker, with other settings.
    await matchConsumer(
      connection,
      stream,
      wanted,
      await readConsumer(connection, stream, config.durable_name),
      mode,
      log,
    );
  }
}

async function matchConsumer(
  connection: StreamConnection,
  stream: string,
  wanted: DurableConfig,
  existing: ConsumerInfo,
  mode: ProvisionMode,
  log: Log,
): Promise<void> {
  const name = where(stream, wanted.durable_name);
  const differences = consumerDifferences(wanted, existing.config);
  if (differences.length === 0) return;
  const told = differences.map(describeDifference);
  if (mode === 'verify') {
    throw new ConfigurationError(
      name,
      told.map((text) => `${text}. Change it, or provision with "auto"`),
    );
  }
  const ours = wanted.description !== undefined && wanted.description === existing.config.description;
  refuse(
    stream,
    wanted.durable_name,
    differences.filter(({ field }) => !UPDATABLE.has(field) && !(field === 'filter' && ours)),
  );
  const changes = Object.fromEntries(
    differences.filter(({ field }) => field !== 'filter').map(({ field, want }) => [field, want]),
  ) as Partial<ConsumerConfig>;
  const newFilter = differences.some(({ field }) => field === 'filter');
  try {
    const updated = await callApi(`update ${name}`, () =>
      connection.manager.consumers.update(stream, wanted.durable_name, {
        ...changes,
        ...(newFilter && { filter_subject: wanted.filter_subject, filter_subjects: wanted.filter_subjects }),
      }),
    );
    refuseIgnored(connection, stream, wanted, updated);
  } catch (error) {
    rethrowRefusal(
      name,
      told,
      `Set them back, or delete the consumer ("nats consumer rm ${stream} ${wanted.durable_name}")`,
      error,
    );
  }
  if (newFilter) log.warn(`${name} updated (${told.join('; ')}). Messages it has passed by do not come again.`);
  else log.log(`${name} updated (${told.join('; ')}).`);
}

/** What an old server would ignore is left out when that is harmless, and refused when it is not. */
function forServer(connection: StreamConnection, config: DurableConfig): DurableConfig {
  const { metadata, ...rest } = config;
  delete rest.filter_subject;
  delete rest.filter_subjects;
  const filters = filtersOf(config);
  if (filters.length > 1) connection.capabilities.require('multipleFilters');
  return {
    ...rest,
    // Metadata came with 2.10, as several filters did.
    ...(metadata !== undefined && connection.capabilities.multipleFilters && { metadata }),
    ...(filters.length === 1 && { filter_subject: filters[0] }),
    ...(filters.length > 1 && { filter_subjects: filters }),
  };
}

function consumerDifferences(want: DurableConfig, have: ConsumerConfig): ConfigDifference[] {
  const settings: Partial<ConsumerConfig> = { ...want };
  delete settings.durable_name;
  delete settings.filter_subject;
  delete settings.filter_subjects;
  // The server replaces the ack wait by the first pause of a backoff.
  if (settings.backoff !== undefined && settings.backoff.length > 0) delete settings.ack_wait;
  const differences = configDifferences(settings, have);
  if (have.deliver_subject !== undefined && have.deliver_subject !== '') {
    differences.push({ field: 'deliver_subject', have: have.deliver_subject, want: undefined });
  }
  const [wantFilters, haveFilters] = [filtersOf(want), filtersOf(have)];
  if (wantFilters.join(' ') !== haveFilters.join(' ')) {
    differences.push({ field: 'filter', have: haveFilters, want: wantFilters });
  }
  return differences;
}

/** Filters in one order; none for "everything". */
function filtersOf(config: Partial<ConsumerConfig>): string[] {
  const several = config.filter_subjects ?? [];
  const filters = several.length > 0 ? several : [config.filter_subject ?? ''];
  return filters.filter((filter) => filter !== '' && filter !== '>').toSorted();
}

function refuse(stream: string, consumer: string, differences: readonly ConfigDifference[]): void {
  if (differences.length === 0) return;
  const command = `"nats consumer rm ${stream} ${consumer}"`;
  const another =
    'This makes it another consumer, and it may belong to somebody else: set it back, choose another name, ' +
    `or delete it and lose its place (${command})`;
  const begun = `Where a consumer begins is fixed when it is made: set it back, or delete it, to begin anew (${command})`;
  throw new ConfigurationError(
    where(stream, consumer),
    differences.map(
      (difference) => `${describeDifference(difference)}. ${difference.field === 'deliver_policy' ? begun : another}`,
    ),
  );
}

function refuseIgnored(
  connection: StreamConnection,
  stream: string,
  wanted: DurableConfig,
  actual: ConsumerInfo,
): void {
  const ignored = consumerDifferences(wanted, actual.config);
  if (ignored.length === 0) return;
  const remedy = `nats-server ${connection.capabilities.version} does not keep this setting: upgrade the server or leave it out`;
  throw new ConfigurationError(
    where(stream, wanted.durable_name),
    ignored.map((difference) => `${describeDifference(difference)}. ${remedy}`),
  );
}

async function findConsumer(
  connection: StreamConnection,
  stream: string,
  name: string,
): Promise<ConsumerInfo | undefined> {
  try {
    return await readConsumer(connection, stream, name);
  } catch (error) {
    if (isApiError(error, ApiCode.consumerNotFound)) return undefined;
    throw error;
  }
}

function readConsumer(connection: StreamConnection, stream: string, name: string): Promise<ConsumerInfo> {
  return callApi(`look for ${where(stream, name)}`, () => connection.manager.consumers.info(stream, name));
}

function where(stream: string, consumer: string): string {
  return `Consumer "${consumer}" of stream "${stream}"`;
}
