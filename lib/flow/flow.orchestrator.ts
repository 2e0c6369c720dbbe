import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import {
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ConfigurationError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { failuresOf, oneFailure } from '../common/one-failure.js';
import type { Coordination } from '../coordination/coordination.js';
import type { FlowConnection } from '../connection/flow-connection.js';
import type { FlowMeter } from '../telemetry/metrics.js';
import type { FlowTracer } from '../telemetry/tracer.js';
import { describeBoot } from './boot-summary.js';
import { PauseControl } from './control/pause-control.js';
import type { DiscoveredStep } from './discovery/discovered-step.js';
import type { FlowExplorer } from './discovery/flow.explorer.js';
import type { StepHandlerFactory } from './discovery/step-handler.factory.js';
import type { FlowBoot } from './flow-boot.js';
import { FlowClaim } from './flow-claim.js';
import { endsWithin, type FlowShutdown } from './flow-shutdown.js';
import type { FlowResources } from './flow-resources.js';
import type { ResolvedFlowRuntimeOptions } from './flow-runtime.options.js';
import { planFlows, type FlowPlan } from './graph/plan-flows.js';
import { FlowRuntime } from './runtime/flow-runtime.js';
import type { FlowStreams } from './runtime/flow-streams.js';
import { InFlightGate } from './runtime/in-flight-gate.js';

/** What the orchestrator works with. */
export interface OrchestratorParts {
  readonly options: ResolvedFlowRuntimeOptions;
  readonly connection: FlowConnection;
  readonly streams: FlowStreams;
  readonly coordination: Coordination;
  readonly resources: FlowResources;
  readonly explorer: FlowExplorer;
  readonly handlers: StepHandlerFactory;
  readonly tracer: FlowTracer;
  readonly meter: FlowMeter;
  readonly log: Log;
  readonly boot: FlowBoot;
  readonly shutdown: FlowShutdown;
  /** What this connection takes. */
  readonly claim: FlowClaim;
  /** What the application's connections take, this one among them; asked once they all exist. */
  readonly claims: () => readonly FlowClaim[];
}

/**
 * Takes the flows of one connection through the application's life: found and checked when modules are
 * initialised, pulling once the application has started, drained before it shuts down, the connection last.
 */
export class FlowOrchestrator
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private plans: FlowPlan<DiscoveredStep>[] = [];
  private runtimes: FlowRuntime[] = [];
  private readonly pause: PauseControl;

  constructor(private readonly parts: OrchestratorParts) {
    this.pause = new PauseControl(parts.connection, parts.log);
    // After a boot that failed: here, or on another connection.
    parts.resources.addUser({ close: () => this.stop(AbortSignal.abort()) });
  }

  /** @throws ConfigurationError with every problem of every flow. */
  onModuleInit(): Promise<void> {
    return this.parts.boot.part(() => this.plan());
  }

  async onApplicationBootstrap(): Promise<void> {
    const { boot, options, connection, log } = this.parts;
    const plans = options.consume ? this.plans : [];
    if (plans.length > 0) await boot.part(() => this.start(plans));
    log.log(describeBoot(connection, options, this.runtimes));
    if (plans.length > 0 && !connection.capabilities.keepsConsumersOverCrash) {
      log.warn(
        `nats-server ${connection.capabilities.version} can lose a consumer's place when it is killed, and with it ` +
          'messages; use a newer server in production (see "Guarantees" in the README).',
      );
    }
  }

  /**
   * Stops pulling and drains: what runs may go on for `shutdownTimeout`, the rest goes back to the server. What has not
   * ended by then, since the server does not take its result, is given up.
   */
  async beforeApplicationShutdown(): Promise<void> {
    const { shutdown, options, connection, coordination } = this.parts;
    const { shutdownTimeout } = options;
    const deadline = new AbortController();
    const stopped = this.stop(deadline.signal);
    const drained = await endsWithin(shutdown.remainingMs(shutdownTimeout), stopped);
    // Nest waits for requests after this, and a request may wait for a run that does not end or a lock that nobody gives back.
    connection.stopWaiting();
    coordination.stopWaiting();
    if (drained) return;
    deadline.abort();
    if (await endsWithin(shutdown.lastMs(shutdownTimeout, connection), stopped)) return;
    for (const runtime of this.runtimes) runtime.abandon();
  }

  async onApplicationShutdown(): Promise<void> {
    const { shutdown, options, connection, resources } = this.parts;
    await resources.close(shutdown.lastMs(options.shutdownTimeout, connection));
  }

  /** The graphs of this connection's flows. */
  graphs(): FlowPlan<DiscoveredStep>['graph'][] {
    return this.plans.map((plan) => plan.graph);
  }

  /** Messages held by this process, by flow and step. */
  inFlight(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return new Map(this.runtimes.map((runtime) => [runtime.graph.contract.name, runtime.inFlight()]));
  }

  private plan(): void {
    const { claim, claims, explorer } = this.parts;
    const all = claims();
    FlowClaim.check(all);
    const plans = planFlows(explorer.explore(), explorer.problems());
    this.plans = plans.filter(({ graph }) => claim.ownerOf(graph.contract, all) === 'this');
    this.reportIdle(plans, all);
  }

  /** Tells of flows that "flows" leaves out, and of those it names that have no steps: one or the other is a slip. */
  private reportIdle(plans: readonly FlowPlan<DiscoveredStep>[], claims: readonly FlowClaim[]): void {
    const { claim, log } = this.parts;
    const found = plans.map(({ graph }) => graph.contract);
    for (const contract of found.filter((contract) => claim.ownerOf(contract, claims) === 'none')) {
      log.log(`Flow "${contract.name}" does not run in this application: no connection names it in "flows".`);
    }
    for (const { name } of claim.flows ?? []) {
      if (found.some((contract) => contract.name === name)) continue;
      log.warn(`"flows" names "${name}", but no provider of this application has steps of it.`);
    }
  }

  private async start(plans: readonly FlowPlan<DiscoveredStep>[]): Promise<void> {
    const { options, connection, streams, coordination, handlers, tracer, meter, log } = this.parts;
    await streams.provisionShared();
    await this.pause.start();
    const host = {
      connection,
      streams,
      coordination,
      pause: this.pause,
      processGate: new InFlightGate(options.maxInFlight),
      provision: options.provision,
      tracer,
      meter,
      log,
      instance: options.instance ?? `${hostname()}:${process.pid}`,
    };
    this.runtimes = plans.map(({ graph, declared }) => {
      const methods = new Map(
        [...declared].map(([name, step]) => [name, { handler: handlers.create(step), logger: new Logger(step.where) }]),
      );
      return new FlowRuntime(graph, methods, host);
    });
    await this.provision();
    const failures = await failuresOf(this.runtimes.map((runtime) => runtime.start()));
    if (failures.length > 0) throw oneFailure('Flows', failures);
  }

  /**
   * One flow after the other: of two streams with one subject that are created at the same time, the server may take
   * both. Goes on after a problem, to find all.
   */
  private async provision(): Promise<void> {
    const failures: unknown[] = [];
    for (const runtime of this.runtimes) {
      try {
        await runtime.provision();
      } catch (error) {
        failures.push(error);
        // The others would only wait for the same server.
        if (!(error instanceof ConfigurationError)) break;
      }
    }
    if (failures.length > 0) throw oneFailure('Flows', failures);
  }

  private async stop(deadline: AbortSignal): Promise<void> {
    // Every step listens to the one deadline; Node would take more than ten for a leak.
    setMaxListeners(0, deadline);
    await Promise.all(this.runtimes.map((runtime) => runtime.stop(deadline)));
    await this.pause.stop();
  }
}
