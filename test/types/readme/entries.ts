import { Injectable } from '@nestjs/common';
import { Flow, flow, FlowConnection, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';

export interface Reading {
  sensor: string;
  at: number;
  celsius: number;
}

export const Readings = flow('readings', { input: json<Reading>('Reading'), track: 'none' });

@Flow(Readings)
export class ReadingFlow {
  @FlowStep({
    subject: ['sensors.*.temperature', 'legacy.temperature'],
    runId: (reading: Reading) => `${reading.sensor}-${reading.at}`,
  })
  ingest(reading: Reading, ctx: FlowContext): Reading {
    ctx.logger.debug(`${ctx.message.subject}: ${reading.celsius} °C`);
    return reading;
  }
}

// A step in another provider: it names its flow itself.
export class Alarms {
  @FlowStep({ flow: Readings, after: 'ingest', when: (reading: Reading) => reading.celsius > 80 })
  alarm(reading: Reading): void {
    console.log(`${reading.sensor} is hot`);
  }
}

@Injectable()
export class SensorGateway {
  constructor(private readonly connection: FlowConnection) {}

  async report(reading: Reading): Promise<void> {
    const data = new TextEncoder().encode(JSON.stringify(reading));
    const messageId = `${reading.sensor}-${reading.at}`;
    await this.connection.publisher.publish(`sensors.${reading.sensor}.temperature`, data, { messageId });
  }
}
