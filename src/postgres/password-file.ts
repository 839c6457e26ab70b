import { readFile } from "node:fs/promises";
import pg from "pg";

/**
 * A kind of pg.Client that reads its password from a file whenever it connects: what a rotation puts there is used by the
 * next connection, without a restart. A line break at the file's end does not belong to the password.
 */
export function createClientWithPasswordFile(path: string): typeof pg.Client {
  return class extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      // The configuration has no place for it: beside a connection string an option "password" counts for nothing. Like
      // pg's own it is not enumerable, so that it appears in no log.
      Object.defineProperty(this, "password", {
        configurable: true,
        enumerable: false,
        writable: true,
        value: async () => (await readFile(path, "utf8")).replace(/\r?\n$/, ""),
      });
    }
  };
}
