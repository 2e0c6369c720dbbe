import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** A script in a process of its own, which answers lines by lines. It has to end when its input does. */
export class AskedProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;
  #complaints = '';

  constructor(script: URL, args: readonly string[]) {
    const all = ['--import', '@swc-node/register/esm-register', fileURLToPath(script), ...args];
    this.#child = spawn(process.execPath, all, { stdio: 'pipe' });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    const note = (text: unknown): void => void (this.#complaints += String(text));
    this.#child.stderr.setEncoding('utf8').on('data', note);
    this.#child.stdin.on('error', note);
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** The next line it says. @throws Error with what it complained of, when it has ended instead. */
  async next(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done !== true) return line.value;
    await this.#ended;
    throw new Error(`The process ended: ${this.#complaints}`);
  }

  /** The answer to a line. */
  ask(line: string): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    return this.next();
  }

  /** Ends its input, and resolves when it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
