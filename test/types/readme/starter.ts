import { Body, Controller, Get, NotFoundException, Param, Post } from '@nestjs/common';
import { FlowClient, NotFoundError, type RunStatus } from 'nestjs-jetstream-flow';
import { Orders, type Order } from './contract.js';

@Controller('orders')
export class OrderController {
  constructor(private readonly flows: FlowClient) {}

  @Post()
  async create(@Body() order: Order): Promise<{ runId: string }> {
    const run = await this.flows.start(Orders, order, { runId: order.id, metadata: { tenant: 'acme' } });
    return { runId: run.runId };
  }

  @Get(':id')
  async status(@Param('id') id: string): Promise<RunStatus> {
    try {
      return await this.flows.run(Orders, id).status();
    } catch (error) {
      if (error instanceof NotFoundError) throw new NotFoundException(error.message);
      throw error;
    }
  }
}
