import { Injectable } from '@nestjs/common';
import { ApplicationConfig, ContextIdFactory, ExternalContextCreator, ModuleRef } from '@nestjs/core';
import { findEnhancers } from './bound-enhancers.js';
import type { DiscoveredStep } from './discovered-step.js';
import { isController, type InstanceWrapper } from './instance-wrapper.js';
import { declareArguments } from './step-arguments.js';
import type { FlowRequest, StepHandler } from './step-handler.js';
import { createPipeline } from './step-pipeline.js';
import { withoutErrorLog } from './without-error-log.js';

/**
 * Makes the function that runs a discovered step, with the guards, interceptors, pipes and exception filters that Nest
 * has for its method, its class and the application.
 *
 * A step of a request-scoped provider (or one with a request-scoped dependency or enhancer) gets an instance per
 * message, with a {@link FlowRequest} as `REQUEST`; durable providers are shared by the context id strategy's rule. Of a
 * transient provider each message gets its own instance too. All others run on the provider's one instance.
 */
@Injectable()
export class StepHandlerFactory {
  private readonly external: ExternalContextCreator;

  constructor(
    external: ExternalContextCreator,
    private readonly config: ApplicationConfig,
  ) {
    this.external = withoutErrorLog(external);
  }

  /** Call it once the application's providers exist, from `onModuleInit` on. */
  create(step: DiscoveredStep): StepHandler {
    const { wrapper, methodName, where } = step;
    const moduleRef = moduleRefOf(wrapper);
    const inquirerId = inquirerOf(wrapper);
    const isPerMessage = wrapper.isTransient || !wrapper.isDependencyTreeStatic();
    const found = { methodName, where, enhancers: findEnhancers(this.config, step), provided: declareArguments(step) };
    if (!isPerMessage) {
      const instance = wrapper.instance as object;
      return createPipeline(this.external, { ...found, instance, inquirerId });
    }

    return async (input, ctx) => {
      const request: FlowRequest = { input, ctx };
      const contextId = ContextIdFactory.getByRequest(request);
      // As Nest does it for HTTP: a durable tree sees only what its strategy chose to share.
      const injected: unknown = wrapper.isDependencyTreeDurable()
        ? contextId.payload
        : Object.assign(request, contextId.payload);
      moduleRef.registerRequestByContextId(injected, contextId);
      const token = wrapper.token as Parameters<ModuleRef['resolve']>[0];
      const instance: object = await moduleRef.resolve(token, contextId, { strict: true });
      const target = { ...found, instance, contextId, inquirerId: inquirerId ?? wrapper.id };
      return createPipeline(this.external, target)(input, ctx);
    };
  }
}

/** The `ModuleRef` of the provider's own module: another module may have a provider of the same class. */
function moduleRefOf(wrapper: InstanceWrapper): ModuleRef {
  const instance: unknown = wrapper.host?.providers.get(ModuleRef)?.instance;
  if (instance instanceof ModuleRef) return instance;
  throw new TypeError(`${wrapper.name} belongs to no module`);
}

/**
 * Nest finds a host's module by its provider and knows no controllers there, so that their enhancers would be left out.
 * Any provider of the controller's module leads it to the right place; only transient enhancers are kept per provider.
 */
function inquirerOf(wrapper: InstanceWrapper): string | undefined {
  return isController(wrapper) ? wrapper.host?.providers.get(ModuleRef)?.id : undefined;
}
