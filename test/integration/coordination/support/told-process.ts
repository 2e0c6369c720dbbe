import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from '../../../support/until.js';

/** A process of its own that tells its parent what happens to it; killed when it goes out of scope. */
export class ToldProcess<Message extends { readonly type: string }> implements AsyncDisposable {
  private readonly messages: Message[] = [];

  private constructor(readonly process: ChildProcess) {
    this.process.on('message', (message) => this.messages.push(message as Message));
  }

  /** Resolves when the process has told that it is `ready`. @param script TypeScript that it runs */
  static async start<Message extends { readonly type: string }>(
    script: URL,
    args: readonly string[],
  ): Promise<ToldProcess<Message>> {
    const execArgv = ['--import', '@swc-node/register/esm-register'];
    const started = new ToldProcess<Message>(fork(fileURLToPath(script), args, { execArgv }));
    await started.told('ready');
    return started;
  }

  /** What it told last. */
  get last(): Message | undefined {
    return this.messages.at(-1);
  }

  /** The first that it told of one of these, as soon as it has. */
  told(...types: Message['type'][]): Promise<Message> {
    return until(() => this.messages.find(({ type }) => types.includes(type)), {
      what: `the process to tell ${types.join(' or ')}`,
      timeoutMs: 60_000,
    });
  }

  send(command: string): void {
    this.process.send(command);
  }

  /** Resolves when it is gone, without having given anything back. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
