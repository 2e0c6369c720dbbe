import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { contendedSubject } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { Contention } from '../../store/engine/contention.js';

/** How often a process says at most that it loses in a lane: others make room for longer than that. */
const TELL_MS = 250;
/** Longest time to step back for: somebody else has to read and write in it. */
const LONGEST_ROOM_MS = 50;
/** How long after a write nobody else can have written, most likely. */
const SOON_MS = 1;
/** Lanes in which turns are taken, at most. */
const MOST_LANES = 1_000;

/** How things stand in a lane that several processes write. */
class Turn {
  readonly contention = new Contention();
  /** By the performance clock. */
  notBefore = 0;
  /** When this process was told of its last write. */
  wroteAt = -Infinity;
  toldAt = -Infinity;
  /** The shortest time that a write took lately. */
  private fastestMs = Infinity;

  /** A write that began then has ended. */
  wrote(startedAt: number): void {
    const now = performance.now();
    this.wroteAt = now;
    // Those with conflicts take longer; it grows slowly, for servers that have become slow.
    this.fastestMs = Math.min(now - startedAt, 1.1 * this.fastestMs);
    this.notBefore = now + Math.random() * Math.min(LONGEST_ROOM_MS, 2 + 2 * this.fastestMs);
  }
}

/**
 * Lets processes take turns at what several of them write, a hot key or a shard. Whoever has written last knows what is stored, and
 * writes again by one round trip; whoever lost has to read first, and might lose for ever without the winner noticing. So who loses
 * says so, by a message that nothing stores, and who wins steps back for a moment each time.
 */
export class LaneTurns {
  private readonly turns = new LRUCache<string, Turn>({ max: MOST_LANES });
  private readonly subject: string;
  private subscription: ReturnType<FlowConnection['nats']['subscribe']> | undefined;

  constructor(
    private readonly connection: Pick<FlowConnection, 'nats' | 'status'>,
    bucket: string,
  ) {
    this.subject = contendedSubject(bucket);
  }

  /** Listens to those who lose, until it is closed. */
  start(): void {
    this.subscription = this.connection.nats.subscribe(this.subject, {
      callback: (refused, message) => {
        // A refusal is in the connection's log.
        if (refused === null) this.turnOf(message.string()).contention.noticed();
      },
    });
  }

  /** Changes what is in a lane when it is this process's turn. */
  take<T>(lane: string, change: () => Promise<T>): Promise<T> {
    const turn = this.turns.size === 0 ? undefined : this.turns.get(lane);
    return turn === undefined ? change() : this.takeTurn(lane, turn, change);
  }

  /** Whether others have most likely written in a lane since this process has. */
  isOthers(lane: string): boolean {
    const turn = this.turns.size === 0 ? undefined : this.turns.get(lane);
    return turn !== undefined && turn.contention.isThere && performance.now() > turn.wroteAt + SOON_MS;
  }

  /** Another process came first. */
  lost(lane: string): void {
    const turn = this.turnOf(lane);
    const now = performance.now();
    turn.contention.noticed();
    if (now < turn.toldAt + TELL_MS || this.connection.status !== 'connected') return;
    turn.toldAt = now;
    this.connection.nats.publish(this.subject, lane);
  }

  close(): void {
    this.subscription?.unsubscribe();
  }

  private async takeTurn<T>(lane: string, turn: Turn, change: () => Promise<T>): Promise<T> {
    const { contention } = turn;
    const waitMs = turn.notBefore - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const startedAt = performance.now();
    const changed = await change();
    if (contention.isThere) turn.wrote(startedAt);
    else if (this.turns.get(lane) === turn) this.turns.delete(lane);
    return changed;
  }

  private turnOf(lane: string): Turn {
    let turn = this.turns.get(lane);
    if (turn === undefined) {
      turn = new Turn();
      this.turns.set(lane, turn);
    }
    return turn;
  }
}
