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

  constructor(graph: FlowGraph) {
    this.flow = graph.contract.name;
    this.listening = [...graph.steps.values()].filter((node) => node.subjects.length > 0);
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
