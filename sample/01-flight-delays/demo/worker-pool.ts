import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkerProcess } from './worker-process.js';

/** The worker processes of the demo and the directory of their logs. */
export class WorkerPool implements AsyncDisposable {
  private readonly workers: WorkerProcess[] = [];
  private logsWanted = false;

  private constructor(
    readonly logDirectory: string,
    private readonly serverUrl: string,
    private readonly onCrash: (error: Error) => void,
  ) {}

  /** @param onCrash called when a worker ends though nobody asked it to */
  static async create(serverUrl: string, onCrash: (error: Error) => void): Promise<WorkerPool> {
    return new WorkerPool(await mkdtemp(join(tmpdir(), 'flight-delays-')), serverUrl, onCrash);
  }

  /** Starts one more worker; await its `ready`. */
  add(): WorkerProcess {
    const number = this.workers.length + 1;
    const worker = new WorkerProcess({
      name: `worker ${number}`,
      serverUrl: this.serverUrl,
      logFile: join(this.logDirectory, `worker-${number}.log`),
      onCrash: this.onCrash,
    });
    this.workers.push(worker);
    return worker;
  }

  /** Something went wrong: the logs are for whoever looks for it. */
  keepLogs(): void {
    this.logsWanted = true;
  }

  /** Ends all workers and removes their logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker[Symbol.asyncDispose]()));
    if (!this.logsWanted) await rm(this.logDirectory, { recursive: true, force: true });
  }
}
