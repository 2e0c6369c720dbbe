import type { OnModuleInit, Type } from '@nestjs/common';
import type { ApplicationConfig, DiscoveryService, HttpAdapterHost, MetadataScanner } from '@nestjs/core';
import { didYouMean } from '../../common/did-you-mean.js';
import { ConfigurationError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { coordinationNames } from './coordination-names.js';
import { getRateLimits, type RateLimitMetadata } from './rate-limit.decorator.js';
import { findUnguardedCalls, type LimitedClass, type UnguardedCalls } from './unguarded-calls.js';

/** What the explorer works with. */
export interface RateLimitExplorerParts {
  /** Key of its connection. */
  readonly connection: string | undefined;
  /** Keys of all connections of the application. */
  readonly connections: () => readonly (string | undefined)[];
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  /** The application's global guards. */
  readonly config: ApplicationConfig;
  readonly adapters: HttpAdapterHost;
  readonly isStep: (prototype: object, methodName: string) => boolean;
  readonly log: Log;
  /** Closes what stands on the connection, after a boot that failed. */
  readonly close: () => Promise<void>;
}

/** A class or method with `@RateLimit`. */
interface Found extends RateLimitMetadata {
  readonly where: string;
}

const REMEDY = 'add @UseGuards(RateLimitGuard) to the method or its class, or provide RateLimitGuard as APP_GUARD';
const UNGUARDED = `no guard stands before it, so nothing is limited; ${REMEDY}`;
const UNSEEN = `RateLimitGuard is not among the guards that can be seen there; ${REMEDY}, or let your own guard extend it`;

/** Makes sure at boot that every limiter that `@RateLimit` names is there, and that a guard goes by what it says. */
export class RateLimitExplorer implements OnModuleInit {
  constructor(private readonly parts: RateLimitExplorerParts) {}

  /** Key of its connection. */
  get connection(): string | undefined {
    return this.parts.connection;
  }

  /** @throws ConfigurationError with the problems of all classes and methods. */
  async onModuleInit(): Promise<void> {
    const names = coordinationNames(this.parts.discovery, 'RateLimiter', this.connection);
    const classes = this.classes();
    const problems = new Set<string>();
    for (const found of classes.flatMap(rulesOf)) {
      const problem = this.problemOf(found, names);
      if (problem !== undefined) problems.add(`${found.where}: ${problem}`);
    }
    const { certain, possible } = this.unguarded(classes);
    for (const where of certain) problems.add(`${where}: ${UNGUARDED}`);
    if (problems.size > 0) {
      await this.parts.close();
      throw new ConfigurationError('@RateLimit', [...problems]);
    }
    if (possible.length > 0) this.parts.log.warn(`@RateLimit may limit nothing on ${possible.join(', ')}: ${UNSEEN}`);
  }

  private problemOf({ limiter, options }: Found, names: readonly string[]): string | undefined {
    const { connection } = options;
    if (connection !== this.connection) {
      const known = this.parts.connections();
      if (known.includes(connection) || known[0] !== this.connection) return undefined;
      return `there is no connection ${connection === undefined ? 'without a key' : `"${connection}"`}; import FlowModule.forRoot for it`;
    }
    if (names.includes(limiter)) return undefined;
    const remedy = `import FlowModule.forFeature({ rateLimiters: [{ name: '${limiter}', … }] })`;
    return `there is no rate limiter "${limiter}".${didYouMean(limiter, names)} Or ${remedy}`;
  }

  private unguarded(classes: readonly LimitedClass[]): UnguardedCalls {
    const { connection, config, adapters, isStep } = this.parts;
    const ofRequests = config.getGlobalRequestGuards().map(({ metatype }) => metatype);
    const adapter: unknown = adapters.httpAdapter;
    return findUnguardedCalls(classes, {
      connection,
      globalGuards: [...config.getGlobalGuards(), ...ofRequests],
      servesRoutes: adapter !== null && adapter !== undefined,
      isStep,
    });
  }

  private classes(): LimitedClass[] {
    const { discovery, scanner } = this.parts;
    return [...discovery.getControllers(), ...discovery.getProviders()].flatMap(({ metatype, isAlias }) => {
      const prototype: unknown = metatype?.prototype;
      if (isAlias || typeof metatype !== 'function' || typeof prototype !== 'object' || prototype === null) return [];
      const methodNames = scanner.getAllMethodNames(prototype);
      return [{ type: metatype as Type<object>, methodNames }];
    });
  }
}

function rulesOf({ type, methodNames }: LimitedClass): Found[] {
  const methods = methodNames.flatMap((name) => {
    const rules = getRateLimits(Reflect.get(type.prototype, name) as object) ?? [];
    return rules.map((rule) => ({ ...rule, where: `${type.name}.${name}` }));
  });
  return [...(getRateLimits(type) ?? []).map((rule) => ({ ...rule, where: type.name })), ...methods];
}
