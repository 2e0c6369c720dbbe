import { RunFailedError, type FlowClient } from 'nestjs-jetstream-flow';
import { Orders, type Order } from './contract.js';

export async function order(flows: FlowClient, order: Order): Promise<string | undefined> {
  const run = await flows.start(Orders, order, { runId: order.id });
  try {
    const receipt = await run.result({ signal: AbortSignal.timeout(60_000) });
    return receipt?.payment;
  } catch (error) {
    if (error instanceof RunFailedError) console.log('A step gave up:', error.message);
    throw error;
  }
}

export async function follow(flows: FlowClient, runId: string): Promise<void> {
  for await (const { state, pending } of flows.run(Orders, runId).watch()) {
    console.log(state, pending);
  }
}

export async function failed(flows: FlowClient): Promise<void> {
  for await (const { runId, startedAt, failure } of flows.runs(Orders, { state: 'failed', limit: 50 })) {
    console.log(runId, startedAt, failure?.step, failure?.message);
  }
}

export async function cancel(flows: FlowClient, runId: string): Promise<void> {
  const wasRunning = await flows.run(Orders, runId).cancel('The customer changed their mind');
  console.log(wasRunning);
}

export async function hold(flows: FlowClient): Promise<void> {
  await flows.pause(Orders, 'charge'); // one step, on all instances
  await flows.resume(Orders, 'charge');
  await flows.pause(Orders); // the whole flow
  await flows.resume(Orders);
  for (const { flow, step = 'all steps', since } of await flows.paused()) console.log(flow, step, since);
}
