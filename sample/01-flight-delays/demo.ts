/**
 * The sample from end to end; see README.md beside it.
 *
 *     npm run demo -- [--flights <100 to 20000>] [--workers <1 to 16>]
 */
import { constants } from 'node:os';
import { readDemoOptions, type DemoOptions } from './demo/demo.options.js';
import { InterruptedError } from './demo/interrupted.error.js';
import { runDemo } from './demo/run-demo.js';

const FAILED = 1;
const WRONG_USAGE = 2;

async function main(options: DemoOptions): Promise<number> {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Once: who asks twice does not want to wait for what is still to be ended.
    process.once(signal, () => abort.abort(new InterruptedError(signal)));
  }
  try {
    console.log(`demo: OK ${await runDemo(options, abort)}`);
    return 0;
  } catch (error) {
    // What is awaited may fail because of the abort: the reason is what happened.
    const cause: unknown = abort.signal.aborted ? abort.signal.reason : error;
    console.error(`demo: FAILED ${cause instanceof Error ? cause.message : String(cause)}`);
    // As a shell says it of a program that a signal has ended.
    return cause instanceof InterruptedError ? 128 + constants.signals[cause.signal] : FAILED;
  }
}

let options: DemoOptions | undefined;
try {
  options = readDemoOptions(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = WRONG_USAGE;
}
if (options !== undefined) process.exitCode = await main(options);
