import { FlowConnection } from '../../../../lib/connection/flow-connection.js';
import type { ConnectionOptions } from '../../../../lib/connection/connection.options.js';
import type { Log } from '../../../../lib/common/log.js';
import { CoordinationRoom } from '../../../../lib/coordination/coordination-room.js';
import type { KvObjectDefaults } from '../../../../lib/store/engine/kv-object.options.js';
import { FlowMeter } from '../../../../lib/telemetry/metrics.js';
import { FlowTracer } from '../../../../lib/telemetry/tracer.js';
import { silentLog } from '../../../support/log.js';

/** What a process coordinates with, on a connection of its own. */
export interface OpenRoom extends AsyncDisposable {
  readonly room: CoordinationRoom;
  readonly connection: FlowConnection;
  /** Closes `user` before the room. */
  use<T extends { close(): Promise<void> }>(user: T): T;
}

/** How to open a room. */
export interface RoomOptions {
  readonly log?: Log;
  readonly connect?: Partial<ConnectionOptions>;
  readonly defaults?: KvObjectDefaults;
}

/** A room on a connection of its own; both closed together. */
export async function openRoom(
  url: string,
  { log = silentLog, connect = {}, defaults = {} }: RoomOptions = {},
): Promise<OpenRoom> {
  const connection = await FlowConnection.connect({ servers: url, reconnectWait: '50ms', ...connect }, silentLog);
  const tracer = new FlowTracer();
  const meter = new FlowMeter();
  const room = new CoordinationRoom({ connection, mode: 'auto', log, tracer, meter, defaults });
  const users: { close(): Promise<void> }[] = [];
  return {
    room,
    connection,
    use(user) {
      users.push(user);
      return user;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(users.map((user) => user.close()));
      await room.close();
      meter.close();
      await connection.close();
    },
  };
}
