import type { KvObjectDefaults } from '../store/engine/kv-object.options.js';
import { replicasOf, storageOf, type ResolvedFlowRuntimeOptions } from './flow-runtime.options.js';

/** What the module's buckets have in common. */
export function storeDefaultsOf(runtime: ResolvedFlowRuntimeOptions): KvObjectDefaults {
  return { bucketPrefix: runtime.bucketPrefix, replicas: replicasOf(runtime), storage: storageOf(runtime) };
}
