/**
 * What the inner rooms need of a logger. Nest's `Logger` and nestjs-pino's fit without an adapter; the
 * inner rooms do not import Nest.
 */
export interface Log {
  debug(message: string): void;
  log(message: string): void;
  warn(message: string): void;
  error(message: string, stack?: string): void;
}
