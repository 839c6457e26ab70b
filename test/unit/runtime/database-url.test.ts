import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { readControllerConfig } from "../../../src/controller/config.ts";
import { findDatabaseUrlFault, pinSslMode } from "../../../src/runtime/database-url.ts";

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
  [
    "postgres://u:hunter2@db/x?sslmode=prefer",
    'has sslmode "prefer", which is not supported; write sslmode=verify-full',
  ],
  ["postgres://u:hunter2@db/x?sslmode=allow", 'has sslmode "allow", which is not supported; write sslmode=verify-full'],
  ["postgres://u:hunter2@db/x?sslmode=Require", 'has sslmode "Require", which is not supported'],
  ["postgres://u:hunter2@db/x?sslmode=", "has sslmode a value, which is not supported"],
  ["postgres://u:x@db/x?sslmode=verify-full%20password=hunter2", "has sslmode a value, which is not supported"],
  ["postgres://u:hunter2@db/x?sslmode=verify-full&sslmode=disable", "names sslmode more than once"],
  ["postgres://u:hunter2@db/x?ssl=true", "has the parameter ssl, which is not supported; write sslmode=verify-full"],
  ["postgres://u:hunter2@db/x?sslmode=require&uselibpqcompat=true", "has the parameter uselibpqcompat"],
])("%s is refused, and its password does not appear", (url, fault) => {
  expect(findDatabaseUrlFault(url)).toContain(fault);
  expect(findDatabaseUrlFault(url)).not.toContain("hunter2");
});

test.each(["prefer", "allow", "Require"])("PGSSLMODE=%s is refused where the URL has no sslmode", (mode) => {
  vi.stubEnv("PGSSLMODE", mode);
  const fault = findDatabaseUrlFault("postgres://u:hunter2@db/x");
  expect(fault).toContain(`does not set sslmode, and PGSSLMODE is "${mode}", which is not supported`);
  expect(findDatabaseUrlFault("postgres://u:hunter2@db/x?sslmode=disable")).toBeUndefined();
  vi.unstubAllEnvs();
});

test.each(["verify-full", "no-verify", "disable"])("sslmode=%s reaches pg as it is", (mode) => {
  expect(findDatabaseUrlFault(`postgres://db/x?sslmode=${mode}`)).toBeUndefined();
  expect(pinSslMode(`postgres://db/x?sslmode=${mode}`)).toBe(`postgres://db/x?sslmode=${mode}`);
});

test.each(["require", "verify-ca"])(
  "sslmode=%s verifies the server as verify-full does, in any version of pg",
  (mode) => {
    expect(findDatabaseUrlFault(`postgres://db/x?sslmode=${mode}`)).toBeUndefined();
    expect(pinSslMode(`postgres://u:p@db/x?a=1&sslmode=${mode}&b=2`)).toBe(
      "postgres://u:p@db/x?a=1&sslmode=verify-full&b=2",
    );
    const { databaseLogin } = readControllerConfig({ DATABASE_URL: `postgres://db/x?sslmode=${mode}` });
    expect(databaseLogin.url).toBe("postgres://db/x?sslmode=verify-full");
  },
);
