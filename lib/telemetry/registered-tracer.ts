import { trace, type Tracer, type TracerProvider } from '@opentelemetry/api';
import { SCOPE } from './attributes.js';

interface TracerProxy extends TracerProvider {
  getDelegateTracer(name: string): Tracer | undefined;
}

/**
 * Our tracer of an SDK; `undefined` as long as none is registered. The api's proxy would give a tracer that does
 * nothing, slowly; what stands behind it says whether there is anything.
 *
 * @param provider @default OpenTelemetry's global provider
 */
export function registeredTracer(provider: TracerProvider = trace.getTracerProvider()): Tracer | undefined {
  return isProxy(provider) ? provider.getDelegateTracer(SCOPE) : provider.getTracer(SCOPE);
}

function isProxy(provider: TracerProvider): provider is TracerProxy {
  return 'getDelegateTracer' in provider;
}
