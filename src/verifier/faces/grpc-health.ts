/*
 * `grpc.health.v1.Health/Check`, which kubelets and Envoy ask. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import { Fields, numeric } from "./protobuf.ts";

const SERVING = numeric(1, 1);
const NOT_SERVING = numeric(1, 2);

/** The answer, as the bytes of a HealthCheckResponse; undefined if there is no such service. "" is the whole server. */
export function answerHealth(request: Buffer, services: readonly string[], isReady: boolean): string | undefined {
  let service = "";
  const fields = new Fields(request, 0, request.length);
  while (fields.find(1)) service = request.toString("utf8", fields.start, fields.end);
  if (service !== "" && !services.includes(service)) return undefined;
  return isReady ? SERVING : NOT_SERVING;
}
