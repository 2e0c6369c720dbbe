import { subjectCovers } from './subject-pattern.js';
import ms, { type StringValue } from 'ms';

/** One setting that the server has otherwise than wanted. */
export interface ConfigDifference {
  readonly field: string;
  /** Undefined when the server shows none: its default, or it does not know the setting. */
  readonly have: unknown;
  readonly want: unknown;
}

const NANOS_PER_MS = 1_000_000;

/** Settings in nanoseconds, shown as a duration. */
const DURATIONS = new Set([
  'max_age',
  'duplicate_window',
  'subject_delete_marker_ttl',
  'ack_wait',
  'backoff',
  'inactive_threshold',
  'max_expires',
]);

/** Settings where nothing, 0 and -1 all mean "no limit". */
const LIMITS = new Set([
  'max_msgs',
  'max_bytes',
  'max_age',
  'max_consumers',
  'max_msgs_per_subject',
  'max_msg_size',
  'max_deliver',
  'max_batch',
  'max_expires',
]);

/** Settings where 0 asks for the server's default, whatever that is. */
const SERVER_DEFAULTS = new Set([
  'duplicate_window',
  'num_replicas',
  'ack_wait',
  'max_ack_pending',
  'max_waiting',
  'inactive_threshold',
]);

/**
 * The settings of `want` that `have` does not meet. Settings that `want` does not name are the server's
 * business: it fills in defaults, and newer servers add fields and metadata of their own.
 */
export function configDifferences(want: object, have: object): ConfigDifference[] {
  const present = have as Record<string, unknown>;
  return Object.entries(want)
    .filter(([field, wanted]) => wanted !== undefined && !meets(field, wanted, present[field]))
    .map(([field, wanted]) => ({ field, want: wanted as unknown, have: present[field] }));
}

/** `max_age: have 1d, want 7d`. */
export function describeDifference({ field, have, want }: ConfigDifference): string {
  return `${field}: have ${show(field, have)}, want ${show(field, want)}`;
}

function meets(field: string, want: unknown, have: unknown): boolean {
  if (want === 0 && SERVER_DEFAULTS.has(field)) return true;
  if (LIMITS.has(field) && isUnlimited(want)) return isUnlimited(have);
  if (field === 'subjects') return includesAll(have, want);
  if (field === 'opt_start_time') return Date.parse(String(want)) === Date.parse(String(have));
  if (isEmpty(want)) return isEmpty(have);
  if (Array.isArray(want)) return JSON.stringify(want) === JSON.stringify(have);
  if (typeof want === 'object' && want !== null) return configDifferences(want, have ?? {}).length === 0;
  return want === have;
}

/** Subjects that another deployment added stay: taking them away would lose its messages. */
function includesAll(have: unknown, want: unknown): boolean {
  const present = (have as string[] | undefined) ?? [];
  return (want as string[]).every((subject) => present.some((stored) => subjectCovers(stored, subject)));
}

function isUnlimited(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && value <= 0);
}

/** The server leaves out what is empty. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === 0 || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function show(field: string, value: unknown): string {
  if (value === undefined) return 'nothing';
  if (DURATIONS.has(field) && typeof value === 'number') return duration(value);
  if (field === 'backoff' && Array.isArray(value)) return `[${value.map((item) => duration(Number(item))).join(', ')}]`;
  return JSON.stringify(value);
}

function duration(nanos: number): string {
  const text = ms(nanos / NANOS_PER_MS);
  // ms rounds ("1m" for 61 s); a difference must not look like none.
  return ms(text as StringValue) === nanos / NANOS_PER_MS ? text : `${nanos / NANOS_PER_MS}ms`;
}
