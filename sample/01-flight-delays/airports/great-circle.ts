/** Mean radius of the earth (IUGG), in statute miles. */
const EARTH_RADIUS_MILES = 3958.7613;

/** A place on the globe in degrees, north and east positive. */
export interface Position {
  readonly latitude: number;
  readonly longitude: number;
}

/**
 * The shortest way over the globe between two places, in statute miles, by the haversine formula. It takes the earth
 * for a sphere; the true shape makes up to 0.5 % of difference.
 */
export function greatCircleMiles(from: Position, to: Position): number {
  const haversine =
    halfSineSquared(to.latitude - from.latitude) +
    Math.cos(radians(from.latitude)) * Math.cos(radians(to.latitude)) * halfSineSquared(to.longitude - from.longitude);
  return 2 * EARTH_RADIUS_MILES * Math.asin(Math.min(1, Math.sqrt(haversine)));
}

function halfSineSquared(degrees: number): number {
  return Math.sin(radians(degrees) / 2) ** 2;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
