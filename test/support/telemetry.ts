import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader,
  type DataPoint,
  type Histogram,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-base';

/** What OpenTelemetry recorded in this process, until disposed. */
export interface RecordedTelemetry extends AsyncDisposable {
  /** Spans that have ended, in the order in which they did. */
  spans(): ReadableSpan[];
  /** Sums and histograms of the metric `name`, by their attributes. */
  metric(name: string): Promise<DataPoint<number | Histogram>[]>;
}

/**
 * Registers a real OpenTelemetry SDK for the whole process, with exporters that keep everything in memory. One at
 * a time; disposing it takes it away again.
 */
export function recordTelemetry(): RecordedTelemetry {
  const spanExporter = new InMemorySpanExporter();
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 1_000_000_000 });
  const sdk = new NodeSDK({
    spanProcessors: [new SimpleSpanProcessor(spanExporter)],
    metricReaders: [reader],
    logRecordProcessors: [],
    autoDetectResources: false,
  });
  sdk.start();
  return {
    spans: () => spanExporter.getFinishedSpans(),
    async metric(name) {
      metricExporter.reset();
      await reader.forceFlush();
      return metricExporter
        .getMetrics()
        .flatMap((resource) => resource.scopeMetrics)
        .flatMap((scope) => scope.metrics)
        .filter((metric) => metric.descriptor.name === name)
        .flatMap((metric) => metric.dataPoints as DataPoint<number | Histogram>[]);
    },
    async [Symbol.asyncDispose]() {
      await sdk.shutdown();
      for (const api of [trace, metrics, context, propagation]) api.disable();
    },
  };
}
