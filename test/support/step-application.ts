import type { INestApplicationContext, ModuleMetadata } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { json } from '../../lib/codec/message-schema.js';
import { ConfigurationError } from '../../lib/common/errors.js';
import { flow } from '../../lib/flow/contract.js';
import { FlowMetadataAccessor } from '../../lib/flow/decorators/flow-metadata.accessor.js';
import { FlowExplorer } from '../../lib/flow/discovery/flow.explorer.js';
import type { DiscoveredStep } from '../../lib/flow/discovery/discovered-step.js';
import { StepHandlerFactory } from '../../lib/flow/discovery/step-handler.factory.js';
import { planFlows } from '../../lib/flow/graph/plan-flows.js';
import type { StepHandler } from '../../lib/flow/discovery/step-handler.js';

/** A Nest application that finds its steps and can call them, without a server. */
export class StepApplication {
  private constructor(
    readonly nest: INestApplicationContext,
    readonly steps: readonly DiscoveredStep[],
  ) {}

  static async start(metadata: ModuleMetadata): Promise<StepApplication> {
    const { imports = [], providers = [], ...rest } = metadata;
    const nest = await Test.createTestingModule({
      imports: [DiscoveryModule, ...imports],
      providers: [FlowExplorer, FlowMetadataAccessor, StepHandlerFactory, ...providers],
      ...rest,
    }).compile();
    nest.useLogger(false);
    await nest.init();
    return new StepApplication(nest, nest.get(FlowExplorer).explore());
  }

  /** The handler of the only step on a method of that name. */
  handler(methodName: string): StepHandler {
    const found = this.steps.filter((step) => step.methodName === methodName);
    const [step] = found;
    if (step === undefined || found.length > 1) throw new Error(`${found.length} steps on methods named ${methodName}`);
    return this.nest.get(StepHandlerFactory).create(step);
  }

  /** The handlers of all steps, in the order in which they were found. */
  handlers(): StepHandler[] {
    const factory = this.nest.get(StepHandlerFactory);
    return this.steps.map((step) => factory.create(step));
  }

  /** What the boot check says about the steps, beside their having no flow. */
  problems(): readonly string[] {
    const contract = flow('test', { input: json() });
    try {
      planFlows(this.steps.map((step) => ({ ...step, contract: step.contract ?? contract })));
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nest.close();
  }
}
