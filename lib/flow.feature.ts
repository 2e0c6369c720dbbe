import type { Abstract, InjectionToken, ModuleMetadata, Provider } from '@nestjs/common';
import { FlowConnection } from './connection/flow-connection.js';
import { FlowResources } from './flow/flow-resources.js';
import { storeDefaultsOf } from './flow/store-defaults.js';
import type { CoordinationFeatureOptions } from './flow-coordination.feature.options.js';
import { coordinationProviders } from './flow-coordination.feature.js';
import { FlowFeatureEnvironment } from './flow-feature.environment.js';
import type { FlowConnectionKey } from './flow.module.options.js';
import { getFlowToken } from './flow.tokens.js';
import { createObjectStore } from './store/engine/create-object-store.js';
import type { AnyKvReducer } from './store/engine/kv-reducer.js';
import type { ObjectStore } from './store/engine/object-store.js';
import { getKvObjectOptions } from './store/kv-object.decorator.js';
import { getObjectStoreToken, type KvObjectClass } from './store/object-store.tokens.js';
import { FlowMeter } from './telemetry/metrics.js';
import { FlowTracer } from './telemetry/tracer.js';

/** What `FlowModule.forFeature` makes injectable. */
export interface FlowFeatureOptions
  extends FlowConnectionKey, CoordinationFeatureOptions, Pick<ModuleMetadata, 'imports'> {
  /**
   * Classes with `@KvObject`; each is a provider, and its store is injected with `@InjectObjectStore(Class, key)`. The
   * features of a connection that name the same class share its store.
   */
  readonly objects?: readonly KvObjectClass[];
}

/** The providers of a feature. */
export function featureProviders({ objects = [], key, ...coordination }: FlowFeatureOptions): Provider[] {
  return [...objects.flatMap((type) => [type, storeProvider(type, key)]), ...coordinationProviders(coordination, key)];
}

/** What a feature exports. */
export function featureExports({ objects = [], key, ...coordination }: FlowFeatureOptions): InjectionToken[] {
  return [
    ...objects.flatMap((type): InjectionToken[] => [type, getObjectStoreToken(type, key)]),
    ...coordinationProviders(coordination, key).map(({ provide }) => provide),
  ];
}

function storeProvider(type: KvObjectClass, key: string | undefined): Provider {
  const options = getKvObjectOptions(type);
  const make = (
    reducer: AnyKvReducer,
    connection: FlowConnection,
    resources: FlowResources,
    { runtime, log, boot }: FlowFeatureEnvironment,
    tracer: FlowTracer,
    meter: FlowMeter,
  ): Promise<ObjectStore<AnyKvReducer>> => {
    const create = (): Promise<ObjectStore<AnyKvReducer>> =>
      createObjectStore(connection, reducer, options, {
        mode: runtime.provision,
        log,
        tracer,
        meter,
        defaults: storeDefaultsOf(runtime),
        stopping: connection.stopping,
      });
    // Several features may ask for a store: with one each, updates in this process would conflict with each other.
    return boot.part(() => resources.share(type, create));
  };
  const shared: readonly Abstract<object>[] = [
    FlowConnection,
    FlowResources,
    FlowFeatureEnvironment,
    FlowTracer,
    FlowMeter,
  ];
  return {
    provide: getObjectStoreToken(type, key),
    useFactory: make,
    inject: [type, ...shared.map((of): InjectionToken => getFlowToken(of, key))],
  };
}
