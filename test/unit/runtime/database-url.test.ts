import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findDatabaseUrlFault } from "../../../src/runtime/database-url.ts";

const READABLE = fileURLToPath(import.meta.url);

test.each([
  "postgres://db/tokens",
  "postgresql://controller:secret@db.example.com:5432/tokens?sslmode=verify-full",
  "postgres://my_user:p%40ss%2Fw%23@my_db:1/tokens",
  "postgres://u:p@127.0.0.1:65535/tokens",
  "postgres://u:p@[::1]:5432/tokens",
  "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/tokens",
  "postgres://u:p@/tokens?host=/var/run/postgresql",
  "postgres:///tokens?host=db&port=5433",
  `postgres://u:p@db/tokens?sslrootcert=${READABLE}`,
])("%s is taken", (url) => {
  expect(findDatabaseUrlFault(url)).toBeUndefined();
});

test.each([
  ["mysql://u:hunter2@db", 'must begin with "postgres://"'],
  ["host=db password=hunter2", 'must begin with "postgres://"'],
  ["postgres://u:hunter2@127.0.0.1:notaport/x", "its port is not between 1 and 65535"],
  ["postgres://u:hunter2@db:65536/x", "its port is not between 1 and 65535"],
  ["postgres://u:hunter2@db:0/x", "has a port that is not between 1 and 65535"],
  ["postgres://u:hunter2@db/x?port=many", "has a port that is not between 1 and 65535"],
  ["postgres://", "names no host"],
  ["postgres:///tokens", "names no host"],
  ["postgres://u:hunter2@/tokens", "names no host"],
  ["postgres://%zz", 'contains a stray "%"'],
  ["postgres://u:hunter2%@db/x", 'contains a stray "%"'],
  ["postgres://u:hunter2%ff@db/x", 'contains a stray "%"'],
  ["postgres://one,two/x", "has an invalid host"],
  ["postgres://u:hunter2/more@db/x", '"/" is %2F'],
  ["postgres://u:1#hunter2@db/x", 'has a "#"'],
  [
    "postgres://u:hunter2@db/x?sslrootcert=/nope",
    "names in its parameter sslrootcert a file that cannot be read: /nope",
  ],
  [
    "postgres://u:hunter2@db/x?sslmode=verify-full&sslkey=/nope",
    "names in its parameter sslkey a file that cannot be read: /nope",
  ],
])("%s is refused, and its password does not appear", (url, fault) => {
  expect(findDatabaseUrlFault(url)).toContain(fault);
  expect(findDatabaseUrlFault(url)).not.toContain("hunter2");
});
