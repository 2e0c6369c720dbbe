import type { Flight } from './gen/flights/v1/flight_pb.js';

const IATA = /^[A-Z0-9]{3}$/;

/** What is wrong with a reported flight; empty when nothing is. */
export function flightProblems({ id, date, distanceMiles, origin, destination }: Flight): string[] {
  const problems: string[] = [];
  if (id === '') problems.push('it has no id');
  if (!/^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}$/.test(date)) problems.push(`"${date}" is no date`);
  if (distanceMiles === 0) problems.push('it has no distance');
  for (const code of [origin, destination]) if (!IATA.test(code)) problems.push(`"${code}" is no airport code`);
  if (origin === destination) problems.push('it lands where it took off');
  return problems;
}
