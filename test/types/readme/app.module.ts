import { Module } from '@nestjs/common';
import { FlowModule } from 'nestjs-jetstream-flow';
import { OrderFlow } from './order.flow.js';
import { Payments } from './payments.js';

@Module({
  imports: [FlowModule.forRoot({ servers: 'nats://localhost:4222', name: 'shop' })],
  providers: [OrderFlow, Payments],
})
export class AppModule {}
