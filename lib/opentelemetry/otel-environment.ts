/** Signals that the SDK exports, as they stand in the names of its variables. */
export type Signal = 'TRACES' | 'METRICS' | 'LOGS';

/** The environment variables to read: `process.env` or a part of it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether the environment says where a signal goes: `OTEL_<SIGNAL>_EXPORTER`, or an OTLP endpoint for all signals or
 * for this one. As for the SDK, an empty variable is one that is not set.
 */
export function isExporterConfigured(signal: Signal, environment: Environment): boolean {
  return [`OTEL_${signal}_EXPORTER`, 'OTEL_EXPORTER_OTLP_ENDPOINT', `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`].some(
    (name) => isSet(environment[name]),
  );
}

/** Whether the environment names the service. */
export function isServiceNamed(environment: Environment): boolean {
  return (
    isSet(environment.OTEL_SERVICE_NAME) ||
    (environment.OTEL_RESOURCE_ATTRIBUTES ?? '').split(',').some((pair) => pair.trim().startsWith('service.name='))
  );
}

/** Whether `OTEL_SDK_DISABLED` turns everything off. */
export function isDisabled(environment: Environment): boolean {
  return environment.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true';
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== '';
}
