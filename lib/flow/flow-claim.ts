import type { FlowContract } from './contract.js';

/** Which flows run over one of the application's connections. */
export class FlowClaim {
  /** @param flows `undefined`: all that no other connection names */
  constructor(private readonly flows: readonly FlowContract[] | undefined) {}

  /** @param others the claims of the application's connections; this one may be among them. */
  owns(contract: FlowContract, others: readonly FlowClaim[]): boolean {
    if (this.flows !== undefined) return this.names(contract);
    return !others.some((other) => other.names(contract));
  }

  private names(contract: FlowContract): boolean {
    return this.flows?.some(({ name }) => name === contract.name) ?? false;
  }
}
