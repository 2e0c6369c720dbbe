import type { Type } from '@nestjs/common';
import { NestMetadataKey } from '../../common/nest-metadata.js';
import { getRateLimits, type RateLimitMetadata } from './rate-limit.decorator.js';
import { RateLimitGuard } from './rate-limit.guard.js';

/** A class of the application that may have `@RateLimit`, itself or on methods. */
export interface LimitedClass {
  readonly type: Type<object>;
  readonly methodNames: readonly string[];
}

/** What is known of an application when it boots. */
export interface GuardingParts {
  /** Key of the connection whose limiters are looked at. */
  readonly connection: string | undefined;
  /** Guards of the whole application: instances, or the classes of those that each request has its own of. */
  readonly globalGuards: readonly unknown[];
  /** Whether the application serves HTTP routes. */
  readonly servesRoutes: boolean;
  readonly isStep: (prototype: object, methodName: string) => boolean;
}

/** Names of methods and classes whose `@RateLimit` has no effect. */
export interface UnguardedCalls {
  /** Nothing stands before them that could limit them. */
  readonly certain: readonly string[];
  /** No `RateLimitGuard` is seen; but one may be asked by a guard of the user's, or guard what calls them. */
  readonly possible: readonly string[];
}

/** What calls reach, and what stands before it. */
interface Place {
  readonly where: string;
  readonly rules: readonly RateLimitMetadata[];
  readonly guards: readonly unknown[];
  /** What calls it; `unknown`: a transport that is not known here, or nothing. */
  readonly kind: 'route' | 'step' | 'unknown';
}

/**
 * Looks where Nest looks for guards. Of routes and steps that is all there is: Nest puts their guards together before any module's
 * init, so a global guard that the application takes on later has no effect on them.
 */
export function findUnguardedCalls(classes: readonly LimitedClass[], parts: GuardingParts): UnguardedCalls {
  const open = classes
    .flatMap((limited) => placesOf(limited, parts))
    .filter(({ rules }) => rules[0]?.options.connection === parts.connection)
    .filter(({ kind, guards }) => (kind !== 'route' || parts.servesRoutes) && !guards.some(isLimiting));
  const isCertain = ({ kind, guards }: Place): boolean => kind !== 'unknown' && guards.length === 0;
  const names = (places: readonly Place[]): string[] => [...new Set(places.map(({ where }) => where))];
  return { certain: names(open.filter(isCertain)), possible: names(open.filter((place) => !isCertain(place))) };
}

/** A class that has no routes and steps, but `@RateLimit`, stands for the methods that something unknown calls. */
function placesOf({ type, methodNames }: LimitedClass, { globalGuards, isStep }: GuardingParts): Place[] {
  const ofClass = [...globalGuards, ...guardsOn(type)];
  const rules = getRateLimits(type);
  const prototype = type.prototype as object;
  const methods = methodNames.map((name) => {
    const method = Reflect.get(prototype, name) as object;
    const isRoute = Reflect.hasMetadata(NestMetadataKey.routePath, method);
    const kind: Place['kind'] = isRoute ? 'route' : isStep(prototype, name) ? 'step' : 'unknown';
    const ownRules = getRateLimits(method) ?? (kind === 'unknown' ? undefined : rules);
    return { where: `${type.name}.${name}`, kind, rules: ownRules, guards: [...ofClass, ...guardsOn(method)] };
  });
  const limited = methods.flatMap(({ rules: some, ...method }) =>
    some === undefined ? [] : [{ ...method, rules: some }],
  );
  if (rules === undefined || methods.some(({ kind }) => kind !== 'unknown')) return limited;
  const guards = methods.flatMap((method) => method.guards);
  return [...limited, { where: type.name, kind: 'unknown', rules, guards }];
}

function guardsOn(target: object): readonly unknown[] {
  return (Reflect.getMetadata(NestMetadataKey.guards, target) as unknown[] | undefined) ?? [];
}

function isLimiting(guard: unknown): boolean {
  if (typeof guard !== 'function') return guard instanceof RateLimitGuard;
  return guard === RateLimitGuard || guard.prototype instanceof RateLimitGuard;
}
