/** A process with an application that is closed, or does not come up, and must end by itself. Arguments: url, fate. */
import 'reflect-metadata';
import { flow, FlowClient, FlowStep, json } from '../../../../lib/index.js';
import { startFlowApp } from '../../../support/flow-app.js';

const [url = '', fate = ''] = process.argv.slice(2);
const Text = json<string>('Text');
const Closing = flow('closing', { input: Text, output: Text });

class Steps {
  @FlowStep({ flow: Closing, ...(fate === 'failed' && { after: 'nobody' }) })
  work(text: string): string {
    return text;
  }
}

try {
  const app = await startFlowApp(url, [Steps]);
  const run = await app.get(FlowClient).start(Closing, 'x');
  console.log(`result: ${await run.result()}`);
  const startedAt = performance.now();
  await app[Symbol.asyncDispose]();
  const closedAt = performance.now();
  console.log(`closed in ${Math.round(closedAt - startedAt)} ms`);
  process.on('exit', () => console.log(`exit after ${Math.round(performance.now() - closedAt)} ms`));
} catch (error) {
  console.log(`boot failed: ${String(error)}`);
}
