export { startOpenTelemetry } from './start-opentelemetry.js';
export type { OpenTelemetry, OpenTelemetryOptions } from './start-opentelemetry.js';
