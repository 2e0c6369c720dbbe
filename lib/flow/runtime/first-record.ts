import type { Run } from '../../codec/gen/flow/v1/run_pb.js';
import { subjectCovers } from '../../stream/subject-pattern.js';
import type { FlowGraph } from '../graph/flow-graph.js';
import type { StepNode } from '../graph/step-node.js';
import { newRun, START_ENTRY } from '../runs/run-record.js';
import type { StepMessage } from './step-message.js';

/** Makes the record that a run begins with, from the first of its messages that anybody sees. */
export class FirstRecord {
  private readonly flow: string;
  private readonly listening: readonly StepNode[];
  private readonly hasSeveralEntries: boolean;

  constructor(graph: FlowGraph) {
    this.flow = graph.contract.name;
    const nodes = [...graph.steps.values()];
    this.listening = nodes.filter((node) => node.subjects.length > 0);
    this.hasSeveralEntries = nodes.filter((node) => node.isEntry).length > 1;
  }

  /**
   * Whether a message is counted in its run's record before anything follows from it. A client counts what it starts,
   * at the same time; but where runs have further entries, the run may have ended by then, and would take no more.
   */
  isNeededFor({ source }: StepMessage): boolean {
    return source === 'ingest' || (source === 'start' && this.hasSeveralEntries);
  }

  of(message: StepMessage): Run {
    const { runId, delivery, metadata } = message;
    const entries = message.source === 'ingest' ? this.entriesOf(delivery.subject) : undefined;
    return newRun(this.flow, runId, delivery.time.getTime(), metadata, entries);
  }

  /** An external message comes to every entry that listens to its subject; the run ends when all of them have. */
  private entriesOf(subject: string): string[] {
    return this.listening
      .filter((node) => node.subjects.some((pattern) => subjectCovers(pattern, subject)))
      .map((node) => (node.acceptsStart ? START_ENTRY : node.name));
  }
}
