import { describe, expect, it } from 'vitest';
import { FlowError } from '../../../lib/common/errors.js';
import { readDeliveryInfo } from '../../../lib/stream/delivery-info.js';

const facts = {
  stream: 'FLOW_orders',
  consumer: 'price',
  deliveries: 2,
  streamSequence: 1234,
  consumerSequence: 99,
  timeMs: 1_790_000_000_123,
  pending: 7,
};

describe('readDeliveryInfo', () => {
  it.each([
    ['first form', '$JS.ACK.FLOW_orders.price.2.1234.99.1790000000123456789.7'],
    ['second form', '$JS.ACK._.ACCHASH.FLOW_orders.price.2.1234.99.1790000000123456789.7'],
    [
      'second form with a domain and a token more',
      '$JS.ACK.hub.ACCHASH.FLOW_orders.price.2.1234.99.1790000000123456789.7.x1',
    ],
  ])('reads the %s', (_name, subject) => {
    expect(readDeliveryInfo(subject)).toEqual(facts);
  });

  it.each(['', '_INBOX.abc', '$JS.ACK.S.C.1.2.3.4', '$JS.FC.S.C.1.2.3.4.5', '$JS.ACK.a.b.S.C.1.2.3.4'])(
    'refuses "%s"',
    (subject) => {
      expect(() => readDeliveryInfo(subject)).toThrow(FlowError);
    },
  );
});
