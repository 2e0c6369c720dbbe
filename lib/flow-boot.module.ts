import { Module } from '@nestjs/common';
import { FlowBoot } from './flow/flow-boot.js';
import { FlowShutdown } from './flow/flow-shutdown.js';

/** One per application, imported by each of its connections. */
@Module({ providers: [FlowBoot, FlowShutdown], exports: [FlowBoot, FlowShutdown] })
export class FlowBootModule {}
