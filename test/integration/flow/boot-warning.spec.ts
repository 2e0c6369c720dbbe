import { describe, expect, it } from 'vitest';
import { Flow, flow, FlowModule, FlowStep, json, type FlowModuleOptions } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { needsServer } from '../../support/needs-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';

const Text = json<string>('Text');
const Orders = flow('orders', { input: Text, output: Text });
const Bills = flow('bills', { input: Text, output: Text });

@Flow(Orders)
class OrderFlow {
  @FlowStep()
  price(order: string): string {
    return order;
  }
  @FlowStep({ after: 'price' })
  charge(priced: string): string {
    return priced;
  }
}

@Flow(Bills)
class BillFlow {
  @FlowStep()
  write(bill: string): string {
    return bill;
  }
}

/** What an application with two flows warns of when it boots. */
async function warningsOver(server: EmbeddedNatsServer, options: FlowModuleOptions = {}): Promise<string[]> {
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  await using booted = await FlowTestApp.start(
    ({ url }) => ({
      imports: [FlowModule.forRoot({ servers: url, ...options })],
      providers: [OrderFlow, BillFlow],
    }),
    { server, logger: { log: ignore, error: ignore, warn: (line: unknown) => warnings.push(String(line)) } },
  );
  expect(booted.nest).toBeDefined();
  return warnings.filter((line) => line.includes('when it is killed'));
}

describe('a boot over a server that can lose what is to be done when it is killed', () => {
  it('says so once, whatever the number of flows', async (context) => {
    needsOldServer(context);
    await using old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    expect(await warningsOver(old)).toEqual([
      `nats-server ${old.version} can lose a consumer's place when it is killed, and with it messages; ` +
        'use a newer server in production (see "Guarantees" in the README).',
    ]);
  });

  it('has nothing to say where no steps run', async (context) => {
    needsOldServer(context);
    await using old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    expect(await warningsOver(old, { consume: false })).toEqual([]);
  });

  it('has nothing to say over a newer one', async (context) => {
    await using server = await EmbeddedNatsServer.start();
    needsServer(context, server, '2.10', 'keeping consumers when the server is killed');
    expect(await warningsOver(server)).toEqual([]);
  });
});
