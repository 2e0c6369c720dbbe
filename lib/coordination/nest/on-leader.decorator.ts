import type { Lease } from '../lease/lease.js';

const METADATA = 'nestjs-jetstream-flow:on-leader';

/** Which connection an election is on. */
export interface OnLeaderOptions {
  /** Key of the connection, as in `forFeature`. @default the connection without a key */
  readonly connection?: string;
}

/** What `@OnLeader` or `@OnLeaderLost` wrote on a method. */
export interface OnLeaderMetadata {
  readonly event: 'begin' | 'end';
  readonly election: string;
  readonly options: OnLeaderOptions;
}

/** A decorator for methods that take what `Arguments` are. */
export type LeaderMethodDecorator<Arguments extends unknown[]> = <M extends (...args: Arguments) => unknown>(
  prototype: object,
  methodName: string,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * Has a method of a provider called when this process begins to lead in the election of that name, with the lease of the term. Its
 * process stands in it from the application's start until its shutdown. List the election in
 * `FlowModule.forFeature({ elections: [{ name }] })`; a name that is not listed is a `ConfigurationError` at boot.
 *
 * - The method may run for the whole term: it ends when `lease.signal` aborts, which is when another process may lead.
 * - When it throws, that is logged and the term ends, for all methods of the election: another process leads next. This one
 *   stands again after a pause, see `LeaderElection`. What it throws after `lease.signal` has aborted has no effect.
 * - Guards, pipes, interceptors and filters do not apply.
 * - The next term of this process begins when it has returned. At shutdown, and after `resign()`, another process leads when
 *   it has returned, or the lease's time is over.
 * - Not on request-scoped or transient providers: a `ConfigurationError` at boot.
 */
export function OnLeader(election: string, options: OnLeaderOptions = {}): LeaderMethodDecorator<[lease: Lease]> {
  return decorate({ event: 'begin', election, options });
}

/**
 * Has a method of a provider called when this process does not lead any more: it lost its lease, resigned, or stops. Otherwise
 * as {@link OnLeader}.
 */
export function OnLeaderLost(election: string, options: OnLeaderOptions = {}): LeaderMethodDecorator<[]> {
  return decorate({ event: 'end', election, options });
}

/** What the decorators say about a method, inherited ones included. */
export function getOnLeaderMetadata(prototype: object, methodName: string): readonly OnLeaderMetadata[] {
  return (Reflect.getMetadata(METADATA, prototype, methodName) as OnLeaderMetadata[] | undefined) ?? [];
}

function decorate(metadata: OnLeaderMetadata): (prototype: object, methodName: string) => void {
  return (prototype, methodName) => {
    const before = (Reflect.getOwnMetadata(METADATA, prototype, methodName) as unknown[] | undefined) ?? [];
    Reflect.defineMetadata(METADATA, [...before, metadata], prototype, methodName);
  };
}
