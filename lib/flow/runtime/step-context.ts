import type { Log } from '../../common/log.js';
import type { FlowContext, FlowMessage } from '../flow-context.js';
import { toFlowMessage, type StepMessage } from './step-message.js';

/**
 * The context of one handler call. What costs something (the signal, the header map, the message) is made
 * when the handler first asks for it.
 */
export class StepContext implements FlowContext {
  readonly runId: string;
  readonly index: string;
  readonly attempt: number;
  readonly redelivered: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  private controller: AbortController | undefined;
  private abortReason: Error | undefined;
  private headerMap: Map<string, readonly string[]> | undefined;
  private flowMessage: FlowMessage | undefined;

  constructor(
    readonly flow: string,
    readonly step: string,
    private readonly received: StepMessage,
    readonly logger: Log,
  ) {
    this.runId = received.runId;
    this.index = received.index;
    this.attempt = received.delivery.attempt;
    this.redelivered = received.delivery.redelivered;
    this.metadata = received.metadata;
  }

  get idempotencyKey(): string {
    return `${this.runId}/${this.step}/${this.index}`;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  get headers(): ReadonlyMap<string, readonly string[]> {
    if (this.headerMap === undefined) {
      const { headers } = this.received.delivery;
      this.headerMap = new Map(headers?.keys().map((name) => [name, headers.values(name)]));
    }
    return this.headerMap;
  }

  get message(): FlowMessage {
    this.flowMessage ??= toFlowMessage(this.received.delivery, this.received.source);
    return this.flowMessage;
  }

  /** Tells the handler to stop, with the reason on its signal. */
  abort(reason: Error): void {
    this.abortReason ??= reason;
    this.controller?.abort(reason);
  }
}
