/*
 * Every server of every program begins to listen here, so that a port that is taken is reported alike.
 */
import type { AddressInfo, Server } from "node:net";
import { Fault } from "./fault.ts";

/** Listens on a port (0 picks a free one) of all addresses, or of one; returns the port. Throws a Fault. */
export function listen(server: Server, port: number, host?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const problem = `cannot listen on port ${port}`;
      reject(new Fault({ faultCode: "APITOKEN_E_PORT_UNAVAILABLE", problem }, { cause }));
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
