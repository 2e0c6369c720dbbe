import type { FactoryProvider, InjectionToken } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, HttpAdapterHost, MetadataScanner } from '@nestjs/core';
import type { Log } from './common/log.js';
import { FlowConnection } from './connection/flow-connection.js';
import { Coordination } from './coordination/coordination.js';
import { LeaderExplorer } from './coordination/nest/leader.explorer.js';
import { LeaderOrchestrator } from './coordination/nest/leader.orchestrator.js';
import { RateLimitExplorer } from './coordination/nest/rate-limit.explorer.js';
import { FLOW_OPTIONS } from './flow-options.providers.js';
import type { ResolvedFlowModuleOptions } from './flow.module.options.js';
import { FlowMetadataAccessor } from './flow/decorators/flow-metadata.accessor.js';
import { FlowBoot } from './flow/flow-boot.js';
import { FlowResources } from './flow/flow-resources.js';
import { FlowShutdown } from './flow/flow-shutdown.js';
import { storeDefaultsOf } from './flow/store-defaults.js';
import { instancesOf } from './provider-instances.js';
import { FlowMeter } from './telemetry/metrics.js';
import { FlowTracer } from './telemetry/tracer.js';

type CoreFactory = FactoryProvider & { readonly inject: InjectionToken[] };

/** The coordination of one connection. @param log token of the module's log */
export function coordinationCore(key: string | undefined, log: InjectionToken): CoreFactory[] {
  return [
    {
      provide: Coordination,
      useFactory: (
        { runtime }: ResolvedFlowModuleOptions,
        logger: Log,
        connection: FlowConnection,
        resources: FlowResources,
        tracer: FlowTracer,
        meter: FlowMeter,
      ) => {
        const defaults = storeDefaultsOf(runtime);
        const mode = runtime.provision;
        const coordination = new Coordination({ connection, mode, log: logger, tracer, meter, defaults });
        resources.addUser(coordination);
        return coordination;
      },
      inject: [FLOW_OPTIONS, log, FlowConnection, FlowResources, FlowTracer, FlowMeter],
    },
    {
      provide: LeaderOrchestrator,
      useFactory: (
        { runtime }: ResolvedFlowModuleOptions,
        logger: Log,
        coordination: Coordination,
        boot: FlowBoot,
        shutdown: FlowShutdown,
        explorer: LeaderExplorer,
        discovery: DiscoveryService,
      ) =>
        new LeaderOrchestrator({
          connection: key,
          connections: () => instancesOf(discovery, LeaderOrchestrator).map(({ connection }) => connection),
          coordination,
          explorer,
          remainingMs: () => shutdown.remainingMs(runtime.shutdownTimeout),
          log: logger,
          close: () => boot.abandon(),
        }),
      inject: [FLOW_OPTIONS, log, Coordination, FlowBoot, FlowShutdown, LeaderExplorer, DiscoveryService],
    },
    {
      provide: RateLimitExplorer,
      useFactory: (
        boot: FlowBoot,
        discovery: DiscoveryService,
        scanner: MetadataScanner,
        config: ApplicationConfig,
        adapters: HttpAdapterHost,
        metadata: FlowMetadataAccessor,
        logger: Log,
      ) =>
        new RateLimitExplorer({
          connection: key,
          connections: () => instancesOf(discovery, RateLimitExplorer).map(({ connection }) => connection),
          discovery,
          scanner,
          config,
          adapters,
          isStep: (prototype, methodName) => metadata.stepsOf(prototype, methodName).length > 0,
          log: logger,
          close: () => boot.abandon(),
        }),
      inject: [
        FlowBoot,
        DiscoveryService,
        MetadataScanner,
        ApplicationConfig,
        HttpAdapterHost,
        FlowMetadataAccessor,
        log,
      ],
    },
  ];
}
