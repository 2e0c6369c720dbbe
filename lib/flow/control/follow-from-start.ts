import type { FlowError } from '../../common/errors.js';
import { SubjectWatch, type SubjectWatchOptions } from '../../stream/subject-watch.js';
import type { StreamConnection } from '../../stream/stream-connection.js';

/**
 * Follows everything that a stream holds of a filter, and what comes. Resolves when what was there has come; that
 * waits over lost connections.
 *
 * @throws ConnectionError when the connection is closed for good before that
 */
export async function followFromStart(
  connection: StreamConnection,
  options: Omit<SubjectWatchOptions, 'from' | 'onCaughtUp'>,
): Promise<SubjectWatch> {
  let tell: (end: FlowError | undefined) => void;
  const past = new Promise<FlowError | undefined>((resolve) => (tell = resolve));
  const watch = await SubjectWatch.start(connection, {
    ...options,
    from: 'all',
    onCaughtUp: () => tell(undefined),
    onError: (error) => {
      options.onError(error);
      if (connection.status === 'closed') tell(error);
    },
  });
  const end = await past;
  if (end === undefined) return watch;
  await watch.stop();
  throw end;
}
