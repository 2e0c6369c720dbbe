import { UnsupportedByServerError } from '../common/errors.js';

/** What a server may or may not be able to do. */
export type ServerFeature =
  | 'multipleFilters'
  | 'returnsUndelivered'
  | 'messageTtl'
  | 'consumerPause'
  | 'atomicBatch'
  | 'scheduledMessages'
  | 'counters'
  | 'keepsConsumersOverCrash';

interface Requirement {
  /** For people, as the subject of a sentence. */
  readonly label: string;
  /** First release that has it. */
  readonly since: string;
}

/**
 * First release trusted to keep durable consumers over `kill -9` of the server; below it boot warns. 2.9.10 was seen
 * to bring a young consumer back at the stream's end, the messages before it skipped. The makers promise no version:
 * what decides is the lowest one on which the library's kill tests pass.
 */
const KEEPS_CONSUMERS_SINCE = '2.10.0';

/** The only table of versions in the library. */
const REQUIREMENTS: Readonly<Record<ServerFeature, Requirement>> = {
  multipleFilters: { label: 'A consumer with several filter subjects', since: '2.10.0' },
  // Read in the server's source: 2.10.14 forgets such a message until its ack wait is over.
  returnsUndelivered: { label: 'Putting a message back in line that nobody was left to take', since: '2.10.16' },
  messageTtl: { label: 'A time to live per message', since: '2.11.0' },
  consumerPause: { label: 'Pausing a consumer on the server', since: '2.11.0' },
  atomicBatch: { label: 'Publishing a batch atomically', since: '2.12.0' },
  scheduledMessages: { label: 'Scheduled messages', since: '2.12.0' },
  counters: { label: 'Distributed counters', since: '2.12.0' },
  keepsConsumersOverCrash: {
    label: "Keeping a consumer's place when the server crashes",
    since: KEEPS_CONSUMERS_SINCE,
  },
};

const FEATURES = Object.keys(REQUIREMENTS) as ServerFeature[];

/**
 * What the connected server can do, decided once from the version it announces: old servers accept new
 * features silently and ignore them, so trying is no way to find out. In a cluster of mixed versions this
 * is the version of the server connected to.
 */
export class ServerCapabilities {
  /** Version the server announced, for example `2.12.1`. */
  readonly version: string;
  /** Consumers with several filter subjects (2.10). */
  readonly multipleFilters: boolean;
  /** A message sent to a consumer that has just left is put back in line at once (2.10.16). */
  readonly returnsUndelivered: boolean;
  /** Time to live per message (2.11). */
  readonly messageTtl: boolean;
  /** Pausing a consumer (2.11). */
  readonly consumerPause: boolean;
  /** Atomic batch publish (2.12). */
  readonly atomicBatch: boolean;
  /** Messages delivered at a time (2.12). */
  readonly scheduledMessages: boolean;
  /** Counters in a stream (2.12). */
  readonly counters: boolean;
  /** Durable consumers keep their place when the server is killed. */
  readonly keepsConsumersOverCrash: boolean;

  constructor(version: string) {
    this.version = version;
    const has = (feature: ServerFeature): boolean => isAtLeast(version, REQUIREMENTS[feature].since);
    this.multipleFilters = has('multipleFilters');
    this.returnsUndelivered = has('returnsUndelivered');
    this.messageTtl = has('messageTtl');
    this.consumerPause = has('consumerPause');
    this.atomicBatch = has('atomicBatch');
    this.scheduledMessages = has('scheduledMessages');
    this.counters = has('counters');
    this.keepsConsumersOverCrash = has('keepsConsumersOverCrash');
  }

  /** The features this server lacks. */
  get missing(): readonly ServerFeature[] {
    return FEATURES.filter((feature) => !this[feature]);
  }

  /** One line for the boot log. */
  describe(): string {
    const missing = this.missing.map((feature) => `${feature} (${REQUIREMENTS[feature].since})`);
    return missing.length === 0
      ? `nats-server ${this.version}: all features`
      : `nats-server ${this.version}: without ${missing.join(', ')}`;
  }

  /** @throws UnsupportedByServerError when this server lacks `feature`. */
  require(feature: ServerFeature): void {
    if (this[feature]) return;
    const { label, since } = REQUIREMENTS[feature];
    throw new UnsupportedByServerError(label, since, this.version);
  }
}

/** Compares major, minor and patch; a pre-release counts as its release, which has the same features. */
function isAtLeast(version: string, since: string): boolean {
  const have = numbers(version);
  const need = numbers(since);
  for (let index = 0; index < 3; index++) {
    const difference = (have[index] ?? 0) - (need[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function numbers(version: string): number[] {
  return (/^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
}
