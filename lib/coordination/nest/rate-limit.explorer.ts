import type { OnModuleInit } from '@nestjs/common';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { didYouMean } from '../../common/did-you-mean.js';
import { ConfigurationError } from '../../common/errors.js';
import { coordinationNames } from './coordination-names.js';
import { getRateLimits, type RateLimitMetadata } from './rate-limit.decorator.js';

/** What the explorer works with. */
export interface RateLimitExplorerParts {
  /** Key of its connection. */
  readonly connection: string | undefined;
  /** Keys of all connections of the application. */
  readonly connections: () => readonly (string | undefined)[];
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  /** Closes what stands on the connection, after a boot that failed. */
  readonly close: () => Promise<void>;
}

/** A class or method with `@RateLimit`. */
interface Found extends RateLimitMetadata {
  readonly where: string;
}

/** Makes sure at boot that every limiter that `@RateLimit` names is there. */
export class RateLimitExplorer implements OnModuleInit {
  constructor(private readonly parts: RateLimitExplorerParts) {}

  /** Key of its connection. */
  get connection(): string | undefined {
    return this.parts.connection;
  }

  /** @throws ConfigurationError with the problems of all classes and methods. */
  async onModuleInit(): Promise<void> {
    const names = coordinationNames(this.parts.discovery, 'RateLimiter', this.connection);
    const problems = new Set<string>();
    for (const found of this.explore()) {
      const problem = this.problemOf(found, names);
      if (problem !== undefined) problems.add(`${found.where}: ${problem}`);
    }
    if (problems.size === 0) return;
    await this.parts.close();
    throw new ConfigurationError('@RateLimit', [...problems]);
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

  private explore(): Found[] {
    const { discovery, scanner } = this.parts;
    return [...discovery.getControllers(), ...discovery.getProviders()].flatMap(({ metatype, isAlias }) => {
      const prototype: unknown = metatype?.prototype;
      if (isAlias || typeof metatype !== 'function' || typeof prototype !== 'object' || prototype === null) return [];
      const methods = scanner.getAllMethodNames(prototype).flatMap((name) => {
        const rules = getRateLimits(Reflect.get(prototype, name) as object) ?? [];
        return rules.map((rule) => ({ ...rule, where: `${metatype.name}.${name}` }));
      });
      const rules = getRateLimits(metatype) ?? [];
      return [...rules.map((rule) => ({ ...rule, where: metatype.name })), ...methods];
    });
  }
}
