import type { DiscoveryService } from '@nestjs/core';
import { getCoordinationToken, type CoordinationTokenKind } from './coordination.tokens.js';

/**
 * Names of what features of a connection list, by their tokens: a test may have put something else in its place.
 *
 * @param connection key of it
 */
export function coordinationNames(
  discovery: DiscoveryService,
  kind: CoordinationTokenKind,
  connection: string | undefined,
): string[] {
  const [before = '', after = ''] = getCoordinationToken(kind, '\n', connection).split('\n');
  return discovery.getProviders().flatMap(({ token }) => {
    const isOne = typeof token === 'string' && token.startsWith(before) && token.endsWith(after);
    return isOne ? [token.slice(before.length, -after.length)] : [];
  });
}
