import { PermissionViolationError } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { EncodedHeaders } from '../../../lib/connection/publish-headers.js';
import { isForbidden, isPassing, toFlowError } from '../../../lib/connection/jetstream-api.js';
import { PendingPublish } from '../../../lib/connection/pending-publish.js';
import { publishErrors } from '../../../lib/connection/publish-errors.js';

const violation = (operation: 'publish' | 'subscription') =>
  new PermissionViolationError('Permissions Violation', operation, 'a');

function publish(repeated: boolean): PendingPublish {
  const headers = EncodedHeaders.of('id', undefined, undefined);
  const nothing = (): void => undefined;
  const pending = new PendingPublish('t', 'a', new Uint8Array(0), 'r', headers, true, 1_000, nothing, nothing);
  pending.sent = true;
  pending.repeated = repeated;
  return pending;
}

describe('what the server does not let us send', () => {
  it('is not asked for again', () => {
    for (const error of [
      toFlowError('ask', violation('publish')),
      publishErrors.forbidden(publish(false), violation('publish')),
    ]) {
      expect(isForbidden(error)).toBe(true);
      expect(isPassing(error)).toBe(false);
    }
  });

  it('may be stored when it was sent before, or when only the answer is forbidden', () => {
    for (const error of [
      toFlowError('ask', violation('subscription')),
      publishErrors.forbidden(publish(true), violation('publish')),
    ])
      expect(isForbidden(error)).toBe(false);
    expect(publishErrors.forbidden(publish(true), violation('publish')).message).toMatch(/may be stored/);
  });
});
