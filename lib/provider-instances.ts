import type { Type } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';

/** The application's instances of a class, in all of its modules. */
export function instancesOf<T>(discovery: DiscoveryService, type: Type<T>): T[] {
  return discovery
    .getProviders()
    .map((wrapper): unknown => wrapper.instance)
    .filter((instance): instance is T => instance instanceof type);
}
