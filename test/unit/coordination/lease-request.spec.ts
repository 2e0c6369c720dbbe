import { expect, it } from 'vitest';
import { ConflictError, ConnectionError, OperationTimeoutError } from '../../../lib/common/errors.js';
import { LeaseIds } from '../../../lib/coordination/lease/lease-id.js';
import { LeaseRequest } from '../../../lib/coordination/lease/lease-request.js';

const options = { what: 'Mutex "a", key "b"', shared: false, ttlMs: 1_000, waitMs: undefined, signal: undefined };
const parts = { ids: new LeaseIds(), owner: 'test', connection: { status: 'connected' } };

function request(): LeaseRequest {
  return new LeaseRequest(options, parts, { isHeld: false, onGivenUp() {} });
}

it('takes a server that did not answer for one that could not be reached, and says what led to it', async () => {
  const silent = request();
  const cause = new OperationTimeoutError('modify of "b"', 30_000);
  silent.fail(cause);
  await expect(silent.promise).rejects.toThrow(ConnectionError);
  await expect(silent.promise).rejects.toMatchObject({
    message: 'Mutex "a", key "b": the server did not answer.',
    cause,
  });
});

it('passes on what else goes wrong', async () => {
  const refused = request();
  const error = new ConflictError('lost too often');
  refused.fail(error);
  await expect(refused.promise).rejects.toBe(error);
});
