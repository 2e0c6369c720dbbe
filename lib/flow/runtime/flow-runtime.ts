import { ConfigurationError, RunCancelledError } from '../../common/errors.js';
import { FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { Coordination } from '../../coordination/coordination.js';
import type { ProvisionMode } from '../../stream/provision.js';
import type { FlowMeter } from '../../telemetry/metrics.js';
import type { FlowTracer } from '../../telemetry/tracer.js';
import { CancelledRuns } from '../control/cancelled-runs.js';
import type { PauseControl } from '../control/pause-control.js';
import { PauseReport } from '../control/pause-report.js';
import { DeadLetterWriter } from '../dead-letters/dead-letter-writer.js';
import type { FlowGraph } from '../graph/flow-graph.js';
import type { StepNode } from '../graph/step-node.js';
import { RunStore } from '../runs/run-store.js';
import type { StepMethod } from '../discovery/step-handler.js';
import type { FlowStreams } from './flow-streams.js';
import { reportForgotten } from './forgotten-consumers.js';
import type { InFlightGate } from './in-flight-gate.js';
import { FirstRecord } from './first-record.js';
import { MessageSender } from './message-sender.js';
import { StepCommit } from './step-commit.js';
import { StepRate } from './step-rate.js';
import { StepRunner, type FlowServices } from './step-runner.js';
import { StepSources } from './step-sources.js';
import { StepWorker, type StepSource } from './step-worker.js';

/** What a process gives to each flow it runs. */
export interface FlowHost {
  readonly connection: FlowConnection;
  readonly streams: FlowStreams;
  readonly coordination: Coordination;
  readonly pause: PauseControl;
  readonly processGate: InFlightGate;
  readonly provision: ProvisionMode;
  readonly tracer: FlowTracer;
  readonly meter: FlowMeter;
  readonly log: Log;
  /** Names this process in dead letters. */
  readonly instance: string;
}

/** One flow in this process: its streams, consumers and steps, from boot to shutdown. */
export class FlowRuntime {
  private readonly names: FlowNames;
  private readonly cancelled: CancelledRuns;
  private workers: StepWorker[] = [];
  private fedBy: readonly StepSource[] = [];
  private readonly pauses: PauseReport;

  constructor(
    readonly graph: FlowGraph,
    private readonly methods: ReadonlyMap<string, StepMethod>,
    private readonly host: FlowHost,
  ) {
    this.names = new FlowNames(graph.contract.name);
    this.pauses = new PauseReport(graph.contract.name, new Set(graph.steps.keys()), host.log);
    this.cancelled = new CancelledRuns(host.connection, this.names, graph.contract.retentionMs, host.log);
  }

  /**
   * Makes streams and consumers.
   *
   * @throws ConfigurationError when something of that name is there in a shape that cannot be changed.
   */
  async provision(): Promise<void> {
    const { contract } = this.graph;
    const { streams, connection, provision, log } = this.host;
    await streams.provisionFlow(contract);
    const nodes = [...this.graph.steps.values()];
    const ingest = await streams.provisionIngest(
      contract,
      nodes.flatMap((node) => node.subjects),
    );
    const stepSources = new StepSources(connection, provision, log);
    const sources = await Promise.all(nodes.map((node) => stepSources.provision(contract, node, ingest)));
    this.fedBy = sources.flat();
    await reportForgotten(connection, this.names, this.fedBy, log);
    const services = this.createServices();
    const rates = await Promise.all(nodes.map((node) => this.createRate(node)));
    this.workers = nodes.map((node, at) => this.createWorker(node, sources[at] ?? [], services, rates[at]));
  }

  /** Begins to pull. Needs {@link provision} first. */
  async start(): Promise<void> {
    await this.cancelled.start();
    this.cancelled.onCancel((runId) => this.giveUpRun(runId));
    this.host.pause.onChange(() => this.applyPauses());
    this.applyPauses();
    await Promise.all(this.workers.map((worker) => worker.start()));
  }

  /** See {@link StepWorker.stop}. */
  async stop(deadline: AbortSignal): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop(deadline)));
    await this.cancelled.stop();
  }

  /** See {@link StepWorker.abandon}. */
  abandon(): void {
    for (const worker of this.workers) worker.abandon();
  }

  /** The consumers that feed the steps, in the order of the steps; none before the start. */
  get sources(): readonly StepSource[] {
    return this.fedBy;
  }

  /** Messages held by this process, by step. */
  inFlight(): ReadonlyMap<string, number> {
    return new Map(this.workers.map((worker) => [worker.node.name, worker.inFlight]));
  }

  private createServices(): FlowServices {
    const { connection, tracer, meter, log, instance } = this.host;
    const { contract } = this.graph;
    const runs = new RunStore(connection, this.names);
    const sender = new MessageSender(connection, tracer, meter);
    const first = new FirstRecord(this.graph);
    const tracked = contract.track === 'none' ? undefined : runs;
    return {
      contract,
      runs,
      first,
      commit: new StepCommit(connection, contract, this.names, runs, sender, first),
      deadLetters: new DeadLetterWriter(connection, this.names, tracked, first, instance, log),
      cancelled: this.cancelled,
      tracer,
      meter,
      log,
    };
  }

  private async createRate(node: StepNode): Promise<StepRate | undefined> {
    const rate = StepRate.of(this.names, node, this.host);
    await rate?.ready();
    return rate;
  }

  private createWorker(
    node: StepNode,
    sources: readonly StepSource[],
    services: FlowServices,
    rate: StepRate | undefined,
  ): StepWorker {
    const method = this.methods.get(node.name);
    if (method === undefined) {
      throw new ConfigurationError(`Flow "${this.graph.contract.name}"`, [`Step "${node.name}" has no handler.`]);
    }
    const { connection, processGate, log } = this.host;
    return new StepWorker(connection, node, sources, new StepRunner(node, method, services), processGate, log, rate);
  }

  private giveUpRun(runId: string): void {
    const reason = new RunCancelledError(this.graph.contract.name, runId, '');
    for (const worker of this.workers) worker.giveUpRun(runId, reason);
  }

  private applyPauses(): void {
    const { name } = this.graph.contract;
    this.pauses.tell(this.host.pause.pausesOf(name));
    for (const worker of this.workers) {
      if (this.host.pause.isPaused(name, worker.node.name)) worker.pause();
      else worker.resume();
    }
  }
}
