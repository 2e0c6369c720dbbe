import { Injectable } from '@nestjs/common';
import { DeadLetters } from 'nestjs-jetstream-flow';

@Injectable()
export class Janitor {
  constructor(private readonly deadLetters: DeadLetters) {}

  async tidy(): Promise<void> {
    for await (const letter of this.deadLetters.list({ flow: 'orders', step: 'charge', limit: 100 })) {
      console.log(letter.id, letter.reason, letter.attempts, letter.error.message);
      if (letter.reason === 'undecodable') await this.deadLetters.discard(letter.id);
      else await this.deadLetters.redrive(letter.id);
    }
  }
}
