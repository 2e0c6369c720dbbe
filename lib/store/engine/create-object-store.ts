import type { MessageCodec } from '../../codec/message-codec.js';
import type { MessageSchema } from '../../codec/message-schema.js';
import type { Log } from '../../common/log.js';
import { FlowMeter } from '../../telemetry/metrics.js';
import { FlowTracer } from '../../telemetry/tracer.js';
import { BucketLayout } from './bucket-layout.js';
import type { BucketProvisionMode } from './bucket-options.js';
import { resolveKvObject, type KvObjectDefaults, type KvObjectOptions } from './kv-object.options.js';
import type { AnyKvReducer, StateOf } from './kv-reducer.js';
import { ObjectStore } from './object-store.js';
import { provisionBucket } from './provision-bucket.js';
import { StateCodec } from './state-codec.js';
import type { StoreConnection } from './store-connection.js';
import { StoreParts } from './store-parts.js';

/** What a store needs of the application around it. */
export interface ObjectStoreEnvironment {
  readonly mode: BucketProvisionMode;
  readonly log: Log;
  /** @default spans go to OpenTelemetry's global provider */
  readonly tracer?: FlowTracer;
  /** @default measurements go to OpenTelemetry's global provider */
  readonly meter?: FlowMeter;
  readonly defaults?: KvObjectDefaults;
  /** Ends all watches when it aborts, before the store is closed. */
  readonly stopping?: AbortSignal;
}

/** What the library's own objects have beside. */
export interface StoreInternals<State> {
  /** Reads and writes the same bytes as the schema's own codec, in less time. */
  readonly codec?: MessageCodec<State>;
  /** Told of the key each time that another process came first. */
  readonly onLost?: (key: string) => void;
}

/**
 * Provisions the bucket and makes the store of one reducer. Usable without Nest; close it before the connection.
 *
 * @throws ConfigurationError when the options, or the bucket on the server, do not fit.
 */
export async function createObjectStore<R extends AnyKvReducer>(
  connection: StoreConnection,
  reducer: R,
  options: KvObjectOptions,
  environment: ObjectStoreEnvironment,
  internals: StoreInternals<StateOf<R>> = {},
): Promise<ObjectStore<R>> {
  const where = `@KvObject of ${reducer.constructor.name}`;
  const settings = resolveKvObject(where, options, environment.defaults);
  const { bucket } = settings.bucket;
  const provisioned = await provisionBucket(connection, settings.bucket, environment.mode, environment.log);
  const { schemaVersion, migrate } = settings;
  const codec = StateCodec.for<MessageSchema>(settings.schema, {
    bucket,
    schemaVersion,
    migrate,
    maxValueBytes: settings.bucket.maxValueBytes,
    codec: internals.codec,
  });
  return new ObjectStore<R>(
    new StoreParts<R>({
      connection,
      reducer,
      settings,
      layout: new BucketLayout(bucket),
      // @KvObject has checked at compile time that the reducer's state is the schema's message.
      codec: codec as StateCodec<StateOf<R>>,
      provisioned,
      log: environment.log,
      tracer: environment.tracer ?? new FlowTracer(),
      meters: environment.meter ?? new FlowMeter(),
      stopping: environment.stopping,
      onLost: internals.onLost,
    }),
  );
}
