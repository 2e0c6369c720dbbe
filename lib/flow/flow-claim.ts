import { ConfigurationError } from '../common/errors.js';
import type { FlowContract } from './contract.js';

/** Over which of the application's connections a flow's steps run: this one, another one, or none. */
export type FlowOwner = 'this' | 'other' | 'none';

/** Which flows one of the application's connections takes. */
export class FlowClaim {
  /**
   * @param key of the connection; the default one has none
   * @param flows `undefined`: those that no other connection names
   */
  constructor(
    readonly key: string | undefined,
    readonly flows: readonly FlowContract[] | undefined,
  ) {}

  /** Whether the connection asks for this flow by name. */
  names(flow: string): boolean {
    return this.flows?.some(({ name }) => name === flow) ?? false;
  }

  /**
   * A flow runs over each connection that names it. One that nobody names runs over the default connection if that
   * names no flows, else over the only connection that names none.
   *
   * @param claims of all connections of the application, this one among them
   * @throws ConfigurationError when two connections have the same key, or nothing decides between two of them.
   */
  ownerOf(contract: FlowContract, claims: readonly FlowClaim[]): FlowOwner {
    const naming = claims.filter((claim) => claim.names(contract.name));
    if (naming.length > 0) return naming.includes(this) ? 'this' : 'other';
    const [taker, rival] = takersOfTheRest(claims);
    if (taker !== undefined && rival !== undefined) {
      throw new ConfigurationError(`Flow "${contract.name}"`, [
        `the connections "${taker.key ?? ''}" and "${rival.key ?? ''}" both take the flows that no other names; ` +
          'name it in "flows" of the FlowModule.forRoot it belongs to.',
      ]);
    }
    if (taker === undefined) return 'none';
    return taker === this ? 'this' : 'other';
  }

  /** @throws ConfigurationError when two connections of the application have the same key. */
  static check(claims: readonly FlowClaim[]): void {
    const keys = claims.map(({ key }) => key);
    const twice = keys.find((key, at) => keys.indexOf(key) !== at);
    if (keys.length === new Set(keys).size) return;
    const which = twice === undefined ? 'without a key' : `with the key "${twice}"`;
    throw new ConfigurationError('FlowModule', [
      `forRoot is imported more than once ${which}; import it once, or give each connection a key of its own.`,
    ]);
  }
}

function takersOfTheRest(claims: readonly FlowClaim[]): FlowClaim[] {
  const open = claims.filter((claim) => claim.flows === undefined);
  const fallback = open.find((claim) => claim.key === undefined);
  return fallback === undefined ? open : [fallback];
}
