/** What is interrupted at last may take that long to go back to a server that is there. */
const HAND_BACK_MS = 1_000;

/** The shutdown of one application, over all of its connections: one clock for all that has to end. */
export class FlowShutdown {
  private beganAt: number | undefined;

  /** Milliseconds that are left of `timeoutMs` since the shutdown began, which it does with the first call. */
  remainingMs(timeoutMs: number): number {
    this.beganAt ??= performance.now();
    return Math.max(0, this.beganAt + timeoutMs - performance.now());
  }

  /** As {@link remainingMs}, with the time for handing back when there is a server for it. */
  lastMs(timeoutMs: number, { status }: { readonly status: string }): number {
    return this.remainingMs(timeoutMs + (status === 'connected' ? HAND_BACK_MS : 0));
  }
}

/** Whether `work` ends within `timeoutMs`. What becomes of it after that is told to nobody. */
export async function endsWithin(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    if (Number.isFinite(timeoutMs)) timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
