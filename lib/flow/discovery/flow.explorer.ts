import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { FlowMetadataAccessor } from '../decorators/flow-metadata.accessor.js';
import type { DiscoveredStep } from './discovered-step.js';
import { prototypeOf, type InstanceWrapper } from './instance-wrapper.js';
import { stepHostProblems } from './step-host-problems.js';

/** A class (or the object of a value or factory provider) that may have steps. */
interface Host {
  readonly wrapper: InstanceWrapper;
  readonly prototype: object;
}

/**
 * Finds the steps of an application: methods with `@FlowStep` on its providers and controllers. It reads classes, not
 * instances, so it also sees request-scoped providers; of factory and value providers it sees what exists already.
 */
@Injectable()
export class FlowExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly metadata: FlowMetadataAccessor,
  ) {}

  /** All steps, in the order of modules, providers and methods. Problems are not thrown but told in them. */
  explore(): DiscoveredStep[] {
    const hosts = this.hosts();
    return hosts.flatMap((host) => {
      const isShared = hosts.some((other) => other !== host && other.prototype === host.prototype);
      return this.stepsOf(host, isShared ? ` in ${host.wrapper.host?.name ?? 'an unnamed module'}` : '');
    });
  }

  /** What is wrong with classes that have `@Flow`, one sentence each. */
  problems(): string[] {
    const empty = this.hosts().filter(
      (host) => this.metadata.isFlow(host.prototype.constructor) && this.stepsOf(host, '').length === 0,
    );
    return [...new Set(empty.map(({ prototype }) => prototype.constructor))].map(
      ({ name }) => `${name} has @Flow, but no method with @FlowStep: decorate its steps, or take @Flow away.`,
    );
  }

  private hosts(): Host[] {
    const wrappers = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    return wrappers.map(hostOf).filter((host) => host !== undefined);
  }

  private stepsOf({ wrapper, prototype }: Host, suffix: string): DiscoveredStep[] {
    const type = prototype.constructor;
    return this.scanner.getAllMethodNames(prototype).flatMap((methodName) =>
      this.metadata.stepsOf(prototype, methodName).map((options) => ({
        contract: options.flow ?? this.metadata.contractOf(type),
        methodName,
        options,
        wrapper,
        prototype,
        where: `${type.name}.${methodName}${suffix}`,
        problems: stepHostProblems(wrapper, prototype, methodName),
      })),
    );
  }
}

function hostOf(wrapper: InstanceWrapper): Host | undefined {
  if (wrapper.isAlias) return undefined;
  const prototype = prototypeOf(wrapper);
  return typeof prototype === 'object' && prototype !== null ? { wrapper, prototype } : undefined;
}
