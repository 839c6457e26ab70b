import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfigFile } from "../../../../src/cleanup/config-file.ts";
import { hashDefinition } from "../../../../src/cleanup/target/definition.ts";

const hashOf = (retention: string) => {
  const text = `targets: [{ table: app.sessions, expiresAt: ends, retention: { expired: ${retention} } }]`;
  const [config] = parseConfigFile(text, "test").targets;
  return config === undefined ? "" : hashDefinition(config);
};

test("a hash that is pasted into YAML is a text, whatever its digits are", () => {
  for (let days = 1; days <= 1_000; days += 1) {
    const hash = hashOf(`${days}d`);
    expect(hash).toMatch(/^[a-f][0-9a-f]{11}$/);
    expect(parse(`confirm: ${hash}`)).toEqual({ confirm: hash });
  }
});

test("another definition has another hash, and the same one the same", () => {
  expect(hashOf("7d")).toBe(hashOf("7d"));
  expect(hashOf("7d")).not.toBe(hashOf("8d"));
});
