import { create } from '@bufbuild/protobuf';
import { describeThrown } from '../../common/describe-thrown.js';
import { DecodeError, EncodeError, NotFoundError, RedriveError, RunCancelledError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { DEAD_STREAM, deadFilter, FlowNames } from '../../common/names.js';
import type { DeadLetter } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import { FailureSchema, RunState, type Run } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { listMessages } from '../../stream/list-messages.js';
import { deleteMessage, lastSequence, readLastBySubject, type StoredMessage } from '../../stream/stream-reader.js';
import type { FlowStreams } from '../runtime/flow-streams.js';
import type { MessageSender } from '../runtime/message-sender.js';
import { deathOf, discardDead, settlementKey, unmarkDead } from '../runs/run-record.js';
import { RunStore } from '../runs/run-store.js';
import { toEntry, type DeadLetterEntry } from './dead-letter-entry.js';
import { decodeLetter } from './letter.js';
import { Redrive } from './redrive.js';

export type { DeadLetterEntry, DeadLetterError, DeadLetterReason } from './dead-letter-entry.js';

const PREFIX = 'flow.dead.';

/** Which dead letters are meant; every field narrows. */
export interface DeadLetterFilter {
  readonly flow?: string;
  readonly step?: string;
  /** How many at most. @default no bound */
  readonly limit?: number;
}

/** Looks into the dead letters, and sends them back to where they failed. */
export class DeadLetters {
  private readonly runs = new Map<string, RunStore>();
  private readonly redriving: Redrive;

  /** @internal Made by the module. */
  constructor(
    private readonly connection: FlowConnection,
    private readonly streams: FlowStreams,
    sender: MessageSender,
    private readonly log: Log,
  ) {
    this.redriving = new Redrive(connection, sender);
  }

  /** The dead letters, oldest first, read as they are iterated. */
  async *list(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetterEntry, void, undefined> {
    await this.streams.provisionShared();
    for await (const message of this.messages(filter)) yield await this.open(message);
  }

  /** One dead letter, or `undefined` when there is none of this id. */
  async get(id: string): Promise<DeadLetterEntry | undefined> {
    const message = await this.read(id);
    return message === undefined ? undefined : this.open(message);
  }

  /**
   * Sends the message to its step again, with all its attempts before it, and takes it out of the dead letters.
   * The run goes on there. Callers at the same time, and repetitions after a crash, send it once. The step gets it
   * with the subject and the headers it had, without those of NATS and without its trace.
   *
   * The letter stays when it rejects.
   *
   * @throws NotFoundError when there is no such letter, or its payload is gone; RunCancelledError when its run was
   * cancelled; ConflictError when step and run have got another message meanwhile; MessageTooLargeError when the
   * message leaves the server no room for the headers it needs to be sent again.
   */
  async redrive(id: string): Promise<void> {
    if (!(await this.redriveIfThere(id))) throw notThere(id);
  }

  /**
   * Redrives every letter that the filter names and that is there now; one that fails again meanwhile stays. A letter
   * that cannot be redriven does not keep the others.
   *
   * @returns how many.
   * @throws RedriveError when some could not be redriven.
   */
  async redriveAll(filter: DeadLetterFilter = {}): Promise<number> {
    await this.streams.provisionShared();
    const last = await lastSequence(this.connection, DEAD_STREAM);
    const failures = new Map<string, unknown>();
    let count = 0;
    for await (const { subject, sequence } of this.messages(filter)) {
      if (sequence > last) break;
      const id = subject.slice(PREFIX.length);
      try {
        if (await this.redriveIfThere(id)) count += 1;
      } catch (error) {
        failures.set(id, error);
      }
    }
    if (failures.size > 0) throw new RedriveError(count, failures);
    return count;
  }

  /**
   * Deletes a letter for good. Its run stays failed.
   *
   * @throws NotFoundError when there is no such letter.
   */
  async discard(id: string): Promise<void> {
    const message = await this.read(id);
    if (message === undefined) throw notThere(id);
    const letter = decodeLetter(message);
    const payload = await this.payloadOf(letter);
    const failure = letter.failure ?? create(FailureSchema);
    await this.record(letter, 'discarded', (run, key, death) => discardDead(run, key, death, failure));
    await this.remove(message, payload);
  }

  private messages({ flow, step, limit = Infinity }: DeadLetterFilter): AsyncGenerator<StoredMessage, void, undefined> {
    return listMessages(this.connection, DEAD_STREAM, deadFilter(flow, step), { limit });
  }

  private async read(id: string): Promise<StoredMessage | undefined> {
    await this.streams.provisionShared();
    return readLastBySubject(this.connection, DEAD_STREAM, PREFIX + id);
  }

  /** @returns false when somebody else redrove or discarded the letter first. */
  private async redriveIfThere(id: string): Promise<boolean> {
    const message = await this.read(id);
    if (message === undefined) return false;
    const letter = decodeLetter(message);
    const payload = await this.payloadOf(letter);
    if (payload === undefined) {
      // Who takes a letter out deletes it before its payload.
      if ((await this.read(id))?.sequence !== message.sequence) return false;
      throw new NotFoundError(`Dead letter "${id}" cannot be redriven: its payload is gone; discard it.`);
    }
    await this.requireLive(id, letter);
    await this.redriving.send(id, letter, payload.data);
    await this.record(letter, 'redriven', (run, key, death) => unmarkDead(run, key, death, Date.now()));
    await this.remove(message, payload);
    return true;
  }

  private runsOf(flow: string): RunStore {
    let runs = this.runs.get(flow);
    if (runs === undefined) this.runs.set(flow, (runs = new RunStore(this.connection, new FlowNames(flow))));
    return runs;
  }

  private async open(message: StoredMessage): Promise<DeadLetterEntry> {
    const letter = decodeLetter(message);
    return toEntry(message.subject.slice(PREFIX.length), message, letter, (await this.payloadOf(letter))?.data);
  }

  /** A record that has no room for the change, or is not ours to read, must not keep the letter for ever. */
  private async record(
    letter: DeadLetter,
    what: 'redriven' | 'discarded',
    change: (run: Run, key: string, death: string) => boolean,
  ): Promise<void> {
    const key = settlementKey(letter.step, letter.index);
    const death = deathOf(key, letter.stream, letter.sequence);
    try {
      await this.runsOf(letter.flow).update(letter.runId, (run) => change(run, key, death));
    } catch (error) {
      if (!(error instanceof EncodeError) && !(error instanceof DecodeError)) throw error;
      this.log.warn(
        `Run "${letter.runId}": its record does not say that the dead letter of step "${letter.step}" was ${what}: ` +
          describeThrown(error),
      );
    }
  }

  /** Steps drop the messages of a cancelled run; the record may say so before the request to cancel is stored. */
  private async requireLive(id: string, { flow, runId }: DeadLetter): Promise<void> {
    const names = new FlowNames(flow);
    const run = await this.runsOf(flow).read(runId);
    const cancelled =
      run?.state === RunState.CANCELLED ||
      (await readLastBySubject(this.connection, names.stream, names.cancelSubject(runId))) !== undefined;
    if (!cancelled) return;
    throw new RunCancelledError(flow, runId, `its dead letter "${id}" cannot be redriven; discard it`);
  }

  /** A payload that was too large for the letter is a message of its own. */
  private async payloadOf(letter: DeadLetter): Promise<LetterPayload | undefined> {
    if (!letter.payloadApart) return { data: letter.payload };
    const subject = new FlowNames(letter.flow).deadPayloadSubject(letter.step, letter.runId, letter.index);
    return readLastBySubject(this.connection, DEAD_STREAM, subject);
  }

  /**
   * Deletes the letter that was read, and its payload unless that is younger: then the message has died again, and
   * the payload is the next letter's.
   */
  private async remove(message: StoredMessage, payload: LetterPayload | undefined): Promise<void> {
    await deleteMessage(this.connection, DEAD_STREAM, message.sequence);
    const sequence = payload?.sequence ?? Infinity;
    if (sequence < message.sequence) await deleteMessage(this.connection, DEAD_STREAM, sequence);
  }
}

function notThere(id: string): NotFoundError {
  return new NotFoundError(`There is no dead letter "${id}"; it may have been redriven or discarded.`);
}

interface LetterPayload {
  readonly data: Uint8Array;
  /** Of the message that holds it, when that is not the letter itself. */
  readonly sequence?: number;
}
