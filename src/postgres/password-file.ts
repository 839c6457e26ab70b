/*
 * Database passwords are rotated, too: with a file, the next connection uses the new password without a restart.
 */
import { readFile } from "node:fs/promises";
import pg from "pg";

/**
 * A kind of pg.Client that reads its password from a file each time it connects. A line break at the end of the file is not
 * part of the password.
 */
export function createClientWithPasswordFile(path: string): typeof pg.Client {
  return class extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      // Not an option of the configuration, because pg ignores "password" next to a connection string. Not enumerable, like
      // pg's own property, so that no log shows it.
      Object.defineProperty(this, "password", {
        configurable: true,
        enumerable: false,
        writable: true,
        value: async () => (await readFile(path, "utf8")).replace(/\r?\n$/, ""),
      });
    }
  };
}
