import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { ConfigurationError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { configDifferences, describeDifference, type ConfigDifference } from './config-difference.js';
import { ApiCode, callApi, isApiError, isPassing } from './jetstream-api.js';
import { rethrowRefusal, type ProvisionMode } from './provision-mode.js';
import type { StreamConnection } from './stream-connection.js';
import { streamNamesBySubject } from './stream-inventory.js';
import { subjectCovers } from './subject-pattern.js';

/** Settings of a stream; those left out are the server's defaults and are not compared. */
export type NamedStreamConfig = Partial<StreamConfig> & { readonly name: string };

/** Settings that are fixed when the stream is made. */
const FIXED = new Set([
  'storage',
  'retention',
  'max_consumers',
  'first_seq',
  'mirror',
  'persist_mode',
  'allow_msg_counter',
]);

/** Settings that can be turned on, never off. */
const ONE_WAY = new Set(['deny_delete', 'deny_purge', 'allow_msg_ttl', 'sealed']);

/**
 * Makes sure that the stream is there with these settings. Idempotent; any number of processes may do it at
 * once. Subjects are added, never taken away; what else differs is updated where the server lets one.
 *
 * @param whenNew settings of a stream that has to be made; one that is there keeps its own.
 * @throws ConfigurationError naming each setting that cannot be met, what the stream has, and the remedy; with
 * `verify` also when the stream is missing or differs. ConnectionError or JetStreamRequestError when the server
 * does not answer or has no resources.
 */
export async function provisionStream(
  connection: StreamConnection,
  config: NamedStreamConfig,
  mode: ProvisionMode,
  log: Log,
  whenNew: Partial<StreamConfig> = {},
): Promise<void> {
  if (mode === 'off') return;
  const { metadata, ...withoutMetadata } = config;
  // Metadata came with 2.10, as several filters did; the client refuses to send it to an older server.
  const keepsMetadata = metadata === undefined || connection.capabilities.multipleFilters;
  const wanted: NamedStreamConfig = keepsMetadata ? config : withoutMetadata;
  const existing = await findStream(connection, config.name);
  if (existing !== undefined) return matchStream(connection, wanted, existing, mode, log);
  if (mode === 'verify') {
    throw new ConfigurationError(where(config.name), ['does not exist. Create it, or provision with "auto"']);
  }
  await createStream(connection, wanted, log, whenNew);
}

async function createStream(
  connection: StreamConnection,
  wanted: NamedStreamConfig,
  log: Log,
  whenNew: Partial<StreamConfig>,
): Promise<void> {
  const { name } = wanted;
  try {
    const config = { ...whenNew, ...wanted };
    const created = await callApi(`create stream "${name}"`, () => connection.manager.streams.add(config));
    refuseIgnored(connection, wanted, created);
    log.log(`${where(name)} created for ${(wanted.subjects ?? [name]).join(', ')}.`);
  } catch (error) {
    const overlaps = isApiError(error, ApiCode.subjectsOverlap);
    if (overlaps || isApiError(error, ApiCode.streamNameInUse) || isPassing(error)) {
      // Another process was quicker; two that come at the same time may be told that one overlaps with the other, and in a
      // cluster nothing at all.
      const existing = await findStream(connection, name);
      if (existing !== undefined) return matchStream(connection, wanted, existing, 'auto', log);
    }
    const problems = overlaps ? await describeOverlaps(connection, wanted) : [];
    rethrowRefusal(where(name), problems, 'Change the settings', error);
  }
}

async function matchStream(
  connection: StreamConnection,
  wanted: NamedStreamConfig,
  existing: StreamInfo,
  mode: ProvisionMode,
  log: Log,
): Promise<void> {
  const { name } = wanted;
  const differences = configDifferences(wanted, existing.config);
  warnAboutForeignSubjects(wanted, existing, log);
  if (differences.length === 0) return;
  if (mode === 'verify') {
    const problems = differences.map(
      (difference) => `${describeDifference(difference)}. Change it, or provision with "auto"`,
    );
    throw new ConfigurationError(where(name), problems);
  }
  refuse(name, differences.filter(isFixed));
  const changes = Object.fromEntries(differences.map(({ field, want }) => [field, want])) as Partial<StreamConfig>;
  if (changes.subjects !== undefined) {
    const added = changes.subjects;
    // One stream may not have a subject twice: a wider pattern takes the place of those it covers.
    const kept = subjectsOf(existing).filter((subject) => !added.some((wider) => subjectCovers(wider, subject)));
    changes.subjects = [...kept, ...added];
  }
  const told = differences.map(describeDifference);
  try {
    const updated = await callApi(`update stream "${name}"`, () => connection.manager.streams.update(name, changes));
    refuseIgnored(connection, wanted, updated);
    log.log(`${where(name)} updated (${told.join('; ')}).`);
  } catch (error) {
    const overlaps = isApiError(error, ApiCode.subjectsOverlap);
    const problems = overlaps ? await describeOverlaps(connection, wanted) : [];
    rethrowRefusal(
      where(name),
      [...told, ...problems],
      'Set them back to what the stream has, or change the stream by hand',
      error,
    );
  }
}

function isFixed({ field, want }: ConfigDifference): boolean {
  return FIXED.has(field) || (ONE_WAY.has(field) && want === false);
}

function refuse(name: string, differences: readonly ConfigDifference[]): void {
  if (differences.length === 0) return;
  const remedy = `This is fixed when a stream is made: set it back, or move the messages and delete the stream ("nats stream rm ${name}")`;
  throw new ConfigurationError(
    where(name),
    differences.map((difference) => `${describeDifference(difference)}. ${remedy}`),
  );
}

/** An old server takes settings that it does not know without a word, and does without them. */
function refuseIgnored(connection: StreamConnection, wanted: NamedStreamConfig, actual: StreamInfo): void {
  const ignored = configDifferences(wanted, actual.config);
  if (ignored.length === 0) return;
  const remedy = `nats-server ${connection.capabilities.version} does not keep this setting: upgrade the server or leave it out`;
  throw new ConfigurationError(
    where(wanted.name),
    ignored.map((difference) => `${describeDifference(difference)}. ${remedy}`),
  );
}

function warnAboutForeignSubjects(wanted: NamedStreamConfig, existing: StreamInfo, log: Log): void {
  if (wanted.subjects === undefined) return;
  const declared = new Set(wanted.subjects);
  const others = subjectsOf(existing).filter((subject) => !declared.has(subject));
  if (others.length === 0) return;
  log.warn(`${where(wanted.name)} also stores ${others.join(', ')}, which nothing here declares; left as it is.`);
}

/** A mirror has none, whatever the client's types say. */
function subjectsOf(stream: StreamInfo): string[] {
  return (stream.config as Partial<StreamConfig>).subjects ?? [];
}

async function describeOverlaps(connection: StreamConnection, wanted: NamedStreamConfig): Promise<string[]> {
  const problems: string[] = [];
  for (const subject of wanted.subjects ?? []) {
    const names = await streamNamesBySubject(connection, subject);
    const others = names.filter((name) => name !== wanted.name);
    if (others.length > 0) problems.push(`subjects: "${subject}" is stored by stream "${others.join('", "')}" already`);
  }
  return problems;
}

async function findStream(connection: StreamConnection, name: string): Promise<StreamInfo | undefined> {
  try {
    return await readStream(connection, name);
  } catch (error) {
    if (isApiError(error, ApiCode.streamNotFound)) return undefined;
    throw error;
  }
}

function readStream(connection: StreamConnection, name: string): Promise<StreamInfo> {
  return callApi(`look for stream "${name}"`, () => connection.manager.streams.info(name));
}

function where(name: string): string {
  return `Stream "${name}"`;
}
