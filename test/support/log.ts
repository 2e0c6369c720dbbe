import type { Log } from '../../lib/common/log.js';

/** A line that was logged. */
export interface LogLine {
  readonly level: keyof Log;
  readonly message: string;
}

/** A log that keeps its lines, to be asked for them. */
export interface RecordingLog extends Log {
  readonly lines: readonly LogLine[];
  /** The messages of one level, or of all. */
  messages(level?: keyof Log): string[];
}

/** Says nothing: for tests that do not look at the log. */
export const silentLog: Log = { debug() {}, log() {}, warn() {}, error() {} };

/** Keeps every line; prints nothing. */
export function recordingLog(): RecordingLog {
  const lines: LogLine[] = [];
  const record =
    (level: keyof Log) =>
    (message: string): void => {
      lines.push({ level, message });
    };
  return {
    lines,
    messages: (level) =>
      lines.filter((line) => level === undefined || line.level === level).map((line) => line.message),
    debug: record('debug'),
    log: record('log'),
    warn: record('warn'),
    error: record('error'),
  };
}
