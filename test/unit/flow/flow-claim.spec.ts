import { describe, expect, it } from 'vitest';
import { ConfigurationError, flow, json, type FlowContract } from 'nestjs-jetstream-flow';
import { FlowClaim, type FlowOwner } from '../../../lib/flow/flow-claim.js';

const Orders = flow('orders', { input: json() });
const Invoices = flow('invoices', { input: json() });

/** What each of the claims says about a flow. */
function ownersOf(contract: FlowContract, ...claims: FlowClaim[]): FlowOwner[] {
  return claims.map((claim) => claim.ownerOf(contract, claims));
}

const all = (key?: string): FlowClaim => new FlowClaim(key, undefined);
const only = (flows: FlowContract[], key?: string): FlowClaim => new FlowClaim(key, flows);

describe('the connection a flow runs over', () => {
  it('is the only one there is, whatever its key', () => {
    expect(ownersOf(Orders, all())).toEqual(['this']);
    expect(ownersOf(Orders, all('shop'))).toEqual(['this']);
  });

  it('is the one that names it', () => {
    expect(ownersOf(Invoices, all(), only([Invoices], 'billing'))).toEqual(['other', 'this']);
    expect(ownersOf(Invoices, only([Orders]), only([Invoices], 'billing'))).toEqual(['other', 'this']);
    const sameName = flow('invoices', { input: json() });
    expect(ownersOf(sameName, all(), only([Invoices], 'billing'))).toEqual(['other', 'this']);
  });

  it('is each of those that name it', () => {
    expect(ownersOf(Orders, only([Orders], 'east'), only([Orders], 'west'))).toEqual(['this', 'this']);
  });

  it('is the default one when nobody names it', () => {
    expect(ownersOf(Orders, all('billing'), all(), only([Invoices], 'third'))).toEqual(['other', 'this', 'other']);
  });

  it('is the only one that names nothing when the default one does', () => {
    expect(ownersOf(Orders, only([Invoices]), all('billing'))).toEqual(['other', 'this']);
  });

  it('is none when all name others', () => {
    expect(ownersOf(Orders, only([Invoices]))).toEqual(['none']);
    expect(ownersOf(Orders, only([]), only([Invoices], 'billing'))).toEqual(['none', 'none']);
  });

  it('must be told when nothing decides', () => {
    const claims = [all('east'), all('west')];
    expect(() => ownersOf(Orders, ...claims)).toThrow(ConfigurationError);
    expect(() => ownersOf(Orders, ...claims)).toThrow('"east" and "west"');
  });
});

describe('the keys of an application', () => {
  it('must differ', () => {
    expect(() => FlowClaim.check([all(), all('a'), all('b')])).not.toThrow();
    expect(() => FlowClaim.check([all(), all('a'), all()])).toThrow('more than once without a key');
    expect(() => FlowClaim.check([all('a'), all('b'), all('a')])).toThrow('more than once with the key "a"');
  });
});
