import { Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { readAirports } from '../data/airports.js';
import { AirportSchema, type Airport } from '../gen/flights/v1/flight_pb.js';

/** The airports by their IATA code. */
@Injectable()
export class AirportDirectory {
  private readonly airports = new Map<string, Airport>(
    readAirports().map((row) => [row.iata, create(AirportSchema, row)]),
  );

  /** @returns `undefined` when the code is unknown. */
  find(iata: string): Airport | undefined {
    return this.airports.get(iata);
  }
}
