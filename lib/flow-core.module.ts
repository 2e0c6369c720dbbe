import {
  Logger,
  Module,
  type Abstract,
  type DynamicModule,
  type FactoryProvider,
  type InjectionToken,
  type Provider,
  type Type,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService } from '@nestjs/core';
import { BootLog } from './boot-log.js';
import type { Log } from './common/log.js';
import { FlowConnection } from './connection/flow-connection.js';
import { Coordination } from './coordination/coordination.js';
import { LeaderExplorer } from './coordination/nest/leader.explorer.js';
import { FlowClient } from './flow/client/flow-client.js';
import { DeadLetters } from './flow/dead-letters/dead-letters.js';
import { FlowMetadataAccessor } from './flow/decorators/flow-metadata.accessor.js';
import { FlowExplorer } from './flow/discovery/flow.explorer.js';
import { StepHandlerFactory } from './flow/discovery/step-handler.factory.js';
import { FlowBootModule } from './flow-boot.module.js';
import { coordinationCore } from './flow-coordination.providers.js';
import { FlowFeatureEnvironment } from './flow-feature.environment.js';
import { FlowBoot } from './flow/flow-boot.js';
import { FlowClaim } from './flow/flow-claim.js';
import { FlowOrchestrator } from './flow/flow.orchestrator.js';
import { FlowResources } from './flow/flow-resources.js';
import { FlowShutdown } from './flow/flow-shutdown.js';
import { replicasOf, storageOf, type ResolvedFlowRuntimeOptions } from './flow/flow-runtime.options.js';
import { FlowStreams } from './flow/runtime/flow-streams.js';
import { MessageSender } from './flow/runtime/message-sender.js';
import { asyncOptionProviders, FLOW_OPTIONS } from './flow-options.providers.js';
import {
  resolveFlowModuleOptions,
  type FlowModuleAsyncOptions,
  type FlowModuleOptions,
  type ResolvedFlowModuleOptions,
} from './flow.module.options.js';
import { getFlowToken } from './flow.tokens.js';
import { instancesOf } from './provider-instances.js';
import { KvChangeExplorer } from './store/kv-change.explorer.js';
import { KvChangeOrchestrator } from './store/kv-change.orchestrator.js';
import { FlowMeter } from './telemetry/metrics.js';
import { FlowTracer } from './telemetry/tracer.js';

const LOG = Symbol('flow module log');

/** What feature modules and applications may inject, one of each per connection. */
const SHARED: readonly Abstract<object>[] = [
  FlowConnection,
  FlowClient,
  DeadLetters,
  Coordination,
  FlowOrchestrator,
  FlowResources,
  FlowStreams,
  FlowFeatureEnvironment,
  FlowTracer,
  FlowMeter,
];

/** The providers of one connection. `FlowModule` makes it; applications import that. */
@Module({})
export class FlowCoreModule {
  static forRoot(options: FlowModuleOptions, key?: string): DynamicModule {
    // Checked here, so that a mistake shows where the module is imported.
    const resolved = resolveFlowModuleOptions(options);
    return assemble([{ provide: FLOW_OPTIONS, useValue: resolved }], [], key);
  }

  static forRootAsync(options: FlowModuleAsyncOptions): DynamicModule {
    return assemble(asyncOptionProviders(options), options.imports ?? [], options.key);
  }
}

function assemble(
  optionsProviders: Provider[],
  imports: NonNullable<FlowModuleAsyncOptions['imports']>,
  key: string | undefined,
): DynamicModule {
  return {
    module: FlowCoreModule,
    global: true,
    imports: [DiscoveryModule, FlowBootModule, ...imports],
    providers: [...optionsProviders, ...coreProviders(key).map((provider) => withKey(provider, key))],
    exports: SHARED.map((type): InjectionToken => getFlowToken(type, key)),
  };
}

/**
 * Moves what is shared to the tokens of the connection's key. It must not stay under its class as well: the
 * application's `get(FlowClient)` looks into every module, and means the default connection's.
 */
function withKey(provider: CoreProvider, key: string | undefined): Provider {
  if (!('useFactory' in provider)) return provider;
  const move = (token: InjectionToken): InjectionToken => (isShared(token) ? getFlowToken(token, key) : token);
  return { ...provider, provide: move(provider.provide), inject: provider.inject?.map(move) };
}

function isShared(token: InjectionToken): token is Abstract<object> {
  return SHARED.some((type) => type === token);
}

type CoreProvider = Type | (FactoryProvider & { readonly inject?: InjectionToken[] });

function coreProviders(key: string | undefined): CoreProvider[] {
  return [
    { provide: LOG, useFactory: () => new Logger(key === undefined ? 'FlowModule' : `FlowModule:${key}`) },
    { provide: FlowTracer, useFactory: () => new FlowTracer() },
    { provide: FlowMeter, useFactory: () => new FlowMeter() },
    resourcesProvider,
    { provide: FlowConnection, useFactory: ({ connection }: FlowResources) => connection, inject: [FlowResources] },
    {
      provide: FlowFeatureEnvironment,
      useFactory: ({ runtime }: ResolvedFlowModuleOptions, log: Log, boot: FlowBoot) =>
        new FlowFeatureEnvironment(runtime, log, boot),
      inject: [FLOW_OPTIONS, LOG, FlowBoot],
    },
    {
      provide: FlowStreams,
      useFactory: ({ runtime }: ResolvedFlowModuleOptions, connection: FlowConnection, log: Log) =>
        new FlowStreams(connection, streamSettings(runtime), log),
      inject: [FLOW_OPTIONS, FlowConnection, LOG],
    },
    {
      provide: MessageSender,
      useFactory: (connection: FlowConnection, tracer: FlowTracer, meter: FlowMeter) =>
        new MessageSender(connection, tracer, meter),
      inject: [FlowConnection, FlowTracer, FlowMeter],
    },
    {
      provide: FlowClient,
      useFactory: (connection: FlowConnection, streams: FlowStreams, sender: MessageSender) =>
        new FlowClient(connection, streams, sender),
      inject: [FlowConnection, FlowStreams, MessageSender],
    },
    {
      provide: DeadLetters,
      useFactory: (connection: FlowConnection, streams: FlowStreams, sender: MessageSender, log: Log) =>
        new DeadLetters(connection, streams, sender, log),
      inject: [FlowConnection, FlowStreams, MessageSender, LOG],
    },
    {
      provide: FlowClaim,
      useFactory: ({ runtime }: ResolvedFlowModuleOptions) => new FlowClaim(key, runtime.flows),
      inject: [FLOW_OPTIONS],
    },
    ...coordinationCore(key, LOG),
    LeaderExplorer,
    FlowMetadataAccessor,
    FlowExplorer,
    StepHandlerFactory,
    orchestratorProvider,
    KvChangeExplorer,
    changesProvider(key),
  ];
}

function streamSettings(runtime: ResolvedFlowRuntimeOptions): ConstructorParameters<typeof FlowStreams>[1] {
  return {
    provision: runtime.provision,
    storage: storageOf(runtime),
    replicas: replicasOf(runtime),
    deadLetterRetentionMs: runtime.deadLetterRetention,
  };
}

const resourcesProvider: CoreProvider = {
  provide: FlowResources,
  useFactory: ({ connection: options }: ResolvedFlowModuleOptions, log: Log, meter: FlowMeter, boot: FlowBoot) =>
    boot.part(async () => {
      const bootLog = new BootLog(log);
      const connection = await FlowConnection.connect(options, bootLog, boot.signal);
      bootLog.end();
      connection.onStatus((status) => meter.connectionStatus(connection.name, status));
      const resources = new FlowResources(connection, log);
      resources.add(meter);
      await boot.opens(resources);
      return resources;
    }),
  inject: [FLOW_OPTIONS, LOG, FlowMeter, FlowBoot],
};

const orchestratorProvider: CoreProvider = {
  provide: FlowOrchestrator,
  useFactory: (
    { runtime }: ResolvedFlowModuleOptions,
    log: Log,
    connection: FlowConnection,
    streams: FlowStreams,
    coordination: Coordination,
    resources: FlowResources,
    explorer: FlowExplorer,
    handlers: StepHandlerFactory,
    tracer: FlowTracer,
    meter: FlowMeter,
    claim: FlowClaim,
    boot: FlowBoot,
    shutdown: FlowShutdown,
    discovery: DiscoveryService,
  ) =>
    new FlowOrchestrator({
      options: runtime,
      log,
      connection,
      streams,
      coordination,
      resources,
      explorer,
      handlers,
      tracer,
      meter,
      claim,
      boot,
      shutdown,
      claims: () => instancesOf(discovery, FlowClaim),
    }),
  inject: [
    FLOW_OPTIONS,
    LOG,
    FlowConnection,
    FlowStreams,
    Coordination,
    FlowResources,
    FlowExplorer,
    StepHandlerFactory,
    FlowTracer,
    FlowMeter,
    FlowClaim,
    FlowBoot,
    FlowShutdown,
    DiscoveryService,
  ],
};

function changesProvider(key: string | undefined): CoreProvider {
  return {
    provide: KvChangeOrchestrator,
    useFactory: (
      { runtime }: ResolvedFlowModuleOptions,
      log: Log,
      boot: FlowBoot,
      shutdown: FlowShutdown,
      explorer: KvChangeExplorer,
      discovery: DiscoveryService,
    ) =>
      new KvChangeOrchestrator({
        connection: key,
        connections: () => instancesOf(discovery, KvChangeOrchestrator).map(({ connection }) => connection),
        explorer,
        remainingMs: () => shutdown.remainingMs(runtime.shutdownTimeout),
        log,
        close: () => boot.abandon(),
      }),
    inject: [FLOW_OPTIONS, LOG, FlowBoot, FlowShutdown, KvChangeExplorer, DiscoveryService],
  };
}
