import { Module } from '@nestjs/common';
import { FlowBoot } from './flow/flow-boot.js';

/** One per application, imported by each of its connections. */
@Module({ providers: [FlowBoot], exports: [FlowBoot] })
export class FlowBootModule {}
