/*
 * The log of all programs. It decides what of an error is logged, so that no secret gets into a log by way of an error.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";
import type { LogLevel } from "./config.ts";
import { Fault } from "./fault.ts";

export type { Logger };

/**
 * A logger that writes JSON lines to standard error, so that standard output stays free for a program's results.
 * Messages are constants; what varies goes into fields. Errors go into the field `err`. `stream` replaces standard error.
 */
export function createLogger(
  program: string,
  level: LogLevel,
  stream: DestinationStream = destination({ fd: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: { program },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    stream,
  );
}

/**
 * An error's name, message, codes, causes and the top of its stack, and nothing else: the errors of HTTP clients carry
 * requests and responses, which may contain secrets.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    name: error.name,
    message: error.message,
    ...(error instanceof Fault ? { fault: error.faultCode } : {}),
    ...("code" in error && error.code !== undefined ? { code: error.code } : {}),
    ...(error.stack === undefined
      ? {}
      : {
          at: error.stack
            .split("\n")
            .slice(1, 6)
            .map((line) => line.trim()),
        }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
