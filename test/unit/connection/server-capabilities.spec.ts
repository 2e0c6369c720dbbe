import { describe, expect, it } from 'vitest';
import { UnsupportedByServerError } from '../../../lib/common/errors.js';
import { ServerCapabilities } from '../../../lib/connection/server-capabilities.js';

describe('ServerCapabilities', () => {
  it.each([
    ['2.9.10', [false, false, false, false]],
    ['2.10.0', [true, false, false, false]],
    ['2.11.4', [true, true, true, false]],
    ['2.12.0-preview.1', [true, true, true, true]],
    ['v2.15.2', [true, true, true, true]],
    ['3.0.0', [true, true, true, true]],
    ['from source', [false, false, false, false]],
  ])('knows what %s can do', (version, expected) => {
    const { multipleFilters, messageTtl, consumerPause, atomicBatch, scheduledMessages, counters } =
      new ServerCapabilities(version);
    expect([multipleFilters, messageTtl, consumerPause, atomicBatch]).toEqual(expected);
    expect([scheduledMessages, counters]).toEqual([atomicBatch, atomicBatch]);
  });

  it.each([
    ['2.9.10', false],
    ['2.9.25', false],
    ['2.10.0', true],
    ['2.15.2', true],
    ['from source', false],
  ])('says of %s whether it keeps consumers when it is killed', (version, keeps) => {
    const capabilities = new ServerCapabilities(version);
    expect(capabilities.keepsConsumersOverCrash).toBe(keeps);
    expect(capabilities.missing.includes('keepsConsumersOverCrash')).toBe(!keeps);
  });

  it('describes what is missing with the version that has it', () => {
    expect(new ServerCapabilities('2.15.2').describe()).toBe('nats-server 2.15.2: all features');
    expect(new ServerCapabilities('2.11.0').describe()).toBe(
      'nats-server 2.11.0: without atomicBatch (2.12.0), scheduledMessages (2.12.0), counters (2.12.0)',
    );
  });

  it('throws for what the server lacks, naming both versions', () => {
    const capabilities = new ServerCapabilities('2.9.10');
    expect(() => new ServerCapabilities('2.12.0').require('atomicBatch')).not.toThrow();
    expect(() => capabilities.require('atomicBatch')).toThrow(UnsupportedByServerError);
    expect(() => capabilities.require('messageTtl')).toThrow(/2\.11\.0.*2\.9\.10/);
  });
});
