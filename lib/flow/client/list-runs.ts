import { ConfigurationError } from '../../common/errors.js';
import type { FlowContract } from '../contract.js';
import { toRunStatus, type RunStateName, type RunStatus } from '../runs/run-status.js';
import type { RunStore } from '../runs/run-store.js';

/** Which runs `FlowClient.runs` gives; every field narrows. */
export interface RunFilter {
  /** Only runs in this state. @default all */
  readonly state?: RunStateName;
  /** How many at most. @default no bound */
  readonly limit?: number;
  /** Only runs that changed after the one with this `position`: the last of the page before. @default 0 */
  readonly after?: number;
}

/** A run as it was found in a list. */
export interface ListedRun extends RunStatus {
  /** Where it stands in the list, which is in the order of the last changes. It moves with each change. */
  readonly position: number;
}

/** @throws ConfigurationError when the flow keeps no records. */
export async function* listRuns(
  { name, track }: FlowContract,
  runs: RunStore,
  { state, limit = Infinity, after = 0 }: RunFilter,
): AsyncGenerator<ListedRun, void, undefined> {
  if (track === 'none') {
    throw new ConfigurationError(`Listing runs of flow "${name}"`, ['its runs are not recorded: it has track "none".']);
  }
  let given = 0;
  if (given >= limit) return;
  for await (const { run, sequence } of runs.list(after)) {
    const status = toRunStatus(run);
    if (state !== undefined && status.state !== state) continue;
    yield { ...status, position: sequence };
    if (++given >= limit) return;
  }
}
