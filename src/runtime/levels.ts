/*
 * Gauges of values that exist elsewhere: metrics hold no state of their own that could differ from it.
 */
import { Gauge, type Registry } from "prom-client";

/** Registers a gauge whose value is read whenever somebody scrapes. */
export function registerLevel(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
