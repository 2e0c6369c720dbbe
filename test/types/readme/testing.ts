import { describe, expect, it } from 'vitest';
import { FlowModule } from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { Orders } from './contract.js';
import { OrderFlow } from './order.flow.js';
import { Payments } from './payments.js';

describe('orders', () => {
  it('end with a receipt', async () => {
    await using app = await FlowTestApp.start((server) => ({
      imports: [FlowModule.forRoot({ servers: server.url })],
      providers: [OrderFlow, Payments],
    }));
    const receipt = await app.run(Orders, { id: 'A-17', cups: 4, card: '4242' });
    expect(receipt).toMatchObject({ id: 'A-17', total: 14 });
  });
});
