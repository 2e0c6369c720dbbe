import { core, NodeSDK } from '@opentelemetry/sdk-node';
import { SimpleSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';

/** Takes spans and drops them: the cost of recording without that of a collector. */
const dropping: SpanExporter = {
  export: (_spans, done) => done({ code: core.ExportResultCode.SUCCESS }),
  shutdown: () => Promise.resolve(),
};

/** Records every span of this process from now on. Nothing takes that back. */
export function recordSpans(): void {
  const spanProcessors = [new SimpleSpanProcessor(dropping)];
  new NodeSDK({ spanProcessors, metricReaders: [], logRecordProcessors: [], autoDetectResources: false }).start();
}
