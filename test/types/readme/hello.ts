import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { fixed, Flow, flow, FlowClient, FlowModule, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';

interface Order {
  id: string;
  cups: number;
}
interface Receipt {
  id: string;
  total: number;
}

// The contract: what a run of the flow starts with and ends with.
const Orders = flow('orders', { input: json<Order>('Order'), output: json<Receipt>('Receipt') });

@Flow(Orders)
class OrderFlow {
  @FlowStep()
  price(order: Order): Receipt {
    console.log(`price   ${order.cups} cups`);
    return { id: order.id, total: order.cups * 3.5 };
  }

  @FlowStep({ after: 'price', retry: fixed('200ms', { attempts: 5 }) })
  charge(receipt: Receipt, ctx: FlowContext): Receipt {
    console.log(`charge  attempt ${ctx.attempt}`);
    if (ctx.attempt < 3) throw new Error('The card reader is busy');
    return receipt;
  }
}

// A private nats-server for development. In production: servers: 'nats://nats.example.com:4222'.
const server = await EmbeddedNatsServer.start();

@Module({ imports: [FlowModule.forRoot({ servers: server.url })], providers: [OrderFlow] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const run = await app.get(FlowClient).start(Orders, { id: 'A-17', cups: 4 }, { runId: 'A-17' });
console.log('result ', await run.result());

await app.close();
await server.stop();
