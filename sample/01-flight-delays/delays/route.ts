/** From one airport to another, by their IATA codes. */
export interface Route {
  readonly origin: string;
  readonly destination: string;
}
