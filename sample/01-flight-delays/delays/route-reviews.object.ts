import { create } from '@bufbuild/protobuf';
import { KvObject, type KvReducer } from 'nestjs-jetstream-flow';
import { RouteReviewsSchema, type RouteReviews as RouteReviewsMessage } from '../gen/flights/v1/delays_pb.js';
import type { EnrichedFlight } from '../gen/flights/v1/flight_pb.js';
import { flightOf } from '../airports/plausibility.js';
import type { Route } from './route.js';

/** The routes with flights that are not plausible, for somebody to look at. */
@KvObject({ bucket: 'route_reviews', schema: RouteReviewsSchema })
export class RouteReviews implements KvReducer<RouteReviewsMessage, EnrichedFlight, Route> {
  key({ origin, destination }: Route): string[] {
    return [origin, destination];
  }

  empty({ origin, destination }: Route): RouteReviewsMessage {
    return create(RouteReviewsSchema, { origin, destination });
  }

  apply(reviews: RouteReviewsMessage, enriched: EnrichedFlight): void {
    const { distanceMiles: miles } = flightOf(enriched);
    reviews.shortestReportedMiles = reviews.flights === 0 ? miles : Math.min(reviews.shortestReportedMiles, miles);
    reviews.longestReportedMiles = Math.max(reviews.longestReportedMiles, miles);
    reviews.flights += 1;
    if (enriched.greatCircleMiles !== undefined) reviews.greatCircleMiles = enriched.greatCircleMiles;
  }
}
