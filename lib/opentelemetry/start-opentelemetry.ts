import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { ConfigurationError } from '../common/errors.js';
import { registeredTracer } from '../telemetry/registered-tracer.js';
import { isDisabled, isExporterConfigured, isServiceNamed, type Signal } from './otel-environment.js';

/** What the program says, beside the environment. */
export interface OpenTelemetryOptions {
  /** Name of the service, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` gives one. @default the SDK's */
  readonly serviceName?: string;
  /** Configuration of `NodeSDK`: instrumentations, sampler, exporters of your own. Goes before the environment. */
  readonly sdk?: Partial<NodeSDKConfiguration>;
}

/** A running OpenTelemetry SDK. */
export interface OpenTelemetry extends AsyncDisposable {
  /** `false` when `OTEL_SDK_DISABLED` keeps it off. */
  readonly enabled: boolean;
  /**
   * Exports what was recorded and stops. Call it when the application has closed, or its last spans are missing.
   * Repeated calls wait for the first. A collector that cannot be reached holds it up for as long as
   * `OTEL_EXPORTER_OTLP_TIMEOUT` says, 10 seconds by default.
   *
   * @throws the exporter's error when something could not be exported; the SDK is stopped all the same
   */
  shutdown(): Promise<void>;
}

/**
 * Starts the OpenTelemetry SDK for this process, from the standard environment variables:
 *
 * | variable | effect |
 * |---|---|
 * | `OTEL_SDK_DISABLED=true` | nothing is recorded |
 * | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | what the telemetry says about its origin |
 * | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`, `…_LOGS_ENDPOINT` | the collector |
 * | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` (default), `http/json`, `grpc` |
 * | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp`, `console`, `none`; metrics also `prometheus` |
 * | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | which traces are recorded; all by default |
 * | `OTEL_PROPAGATORS` | formats of the trace in headers; `tracecontext,baggage` by default |
 * | `OTEL_LOG_LEVEL` | how much the SDK says about itself; nothing by default |
 *
 * Otherwise than the SDK by itself, a signal for which neither an exporter nor an endpoint is set is not exported, so
 * that an application without a collector does not try one on localhost for ever. Spans are made all the same:
 * log lines have their trace and span ids, and traces pass through. `OTEL_TRACES_EXPORTER=none` saves that too.
 *
 * Call it once, before the application is created. The library itself needs no instrumentation; other packages'
 * instrumentations must be loaded before these packages are.
 *
 * @throws ConfigurationError when an SDK runs in this process already
 */
export function startOpenTelemetry(options: OpenTelemetryOptions = {}): OpenTelemetry {
  if (isDisabled(process.env)) return handle(false, () => Promise.resolve());
  if (isRunning()) {
    throw new ConfigurationError('startOpenTelemetry()', [
      'OpenTelemetry is already set up in this process, and it can be so only once. ' +
        'Leave out this call, or the other set-up (for example --require of an auto-instrumentation).',
    ]);
  }
  const sdk = new NodeSDK(configure(options));
  sdk.start();
  return handle(true, async () => {
    try {
      await sdk.shutdown();
    } finally {
      for (const api of [trace, metrics, context, propagation]) api.disable();
    }
  });
}

function configure({ serviceName, sdk = {} }: OpenTelemetryOptions): Partial<NodeSDKConfiguration> {
  const isSetUp = (signal: Signal, ...given: (keyof NodeSDKConfiguration)[]): boolean =>
    isExporterConfigured(signal, process.env) || given.some((name) => sdk[name] !== undefined);
  return {
    ...(serviceName !== undefined && !isServiceNamed(process.env) && { serviceName }),
    // A processor that does nothing, and not none at all, for which the SDK would register no tracer.
    ...(!isSetUp('TRACES', 'traceExporter', 'spanProcessor') && { spanProcessors: [new IdsOnly()] }),
    ...(!isSetUp('METRICS', 'metricReader') && { metricReaders: [] }),
    ...(!isSetUp('LOGS', 'logRecordProcessor') && { logRecordProcessors: [] }),
    ...sdk,
  };
}

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];

/** Leaves spans alone: they exist for their ids. */
class IdsOnly implements SpanProcessor {
  onStart(): void {
    // Nothing to prepare.
  }

  onEnd(): void {
    // Nothing to export.
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whether a tracer or a propagator is registered. */
function isRunning(): boolean {
  return registeredTracer() !== undefined || propagation.fields().length > 0;
}

function handle(enabled: boolean, stop: () => Promise<void>): OpenTelemetry {
  let stopped: Promise<void> | undefined;
  const shutdown = (): Promise<void> => (stopped ??= stop());
  return { enabled, shutdown, [Symbol.asyncDispose]: shutdown };
}
