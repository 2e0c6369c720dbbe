import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const MAIN = new URL('../main.ts', import.meta.url);

/** One instance of the API, a process of its own. It ends with this process, however that ends. */
export class Instance implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    /** Where it listens. */
    readonly url: string,
  ) {}

  /** Resolves when it listens. @throws Error when it ends instead. */
  static async start(natsUrl: string): Promise<Instance> {
    const env = { LOG_LEVEL: 'error', ...process.env, NATS_URL: natsUrl, NATS_SERVERS: '', PORT: '0' };
    const child = fork(MAIN, { env, execArgv: ['--import', '@swc-node/register/esm-register'] });
    const listens = once(child, 'message') as Promise<[string]>;
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`an instance ended with ${code}`)));
    const [url] = await Promise.race([listens, ended]);
    return new Instance(child, `http://127.0.0.1:${new URL(url).port}`);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  /** Lets it answer what has come in. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end('SIGTERM');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    await exit;
  }
}
