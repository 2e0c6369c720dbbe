import { Injectable } from '@nestjs/common';
import { ExternalContextCreator } from '@nestjs/core';
import type { DiscoveredStep } from './discovered-step.js';
import type { StepHandler } from './step-handler.js';

/** Makes the function that runs a discovered step within Nest's request pipeline. */
@Injectable()
export class StepHandlerFactory {
  constructor(private readonly externalContext: ExternalContextCreator) {}

  /** Call it after the application's providers were created: from `onModuleInit` on. */
  create(step: DiscoveredStep): StepHandler {
    const instance: Record<string, StepHandler> = step.wrapper.instance;
    const method = instance[step.methodName];
    if (method === undefined) throw new TypeError(`${step.where} is not a method`);
    return this.externalContext.create(instance, method, step.methodName) as StepHandler;
  }
}
