/*
 * Node's options and the environment in the Dockerfile decide how much memory a program takes, so the benches use the same.
 */
import { readFileSync } from "node:fs";

/** How the Dockerfile runs an image's program. */
export interface ImageCommand {
  readonly nodeOptions: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Reads it from the Dockerfile itself, so that what is measured is what is installed. Throws if it is not there. */
export function readImageCommand(target: string): ImageCommand {
  const text = readFileSync(new URL("../../Dockerfile", import.meta.url), "utf8").replaceAll(/\\\n\s*/g, "");
  const stages = text.split(/^(?=FROM )/m);
  const find = (name: string) => stages.find((stage) => new RegExp(`^FROM \\S+ AS ${name}$`, "m").test(stage)) ?? "";
  const [, entrypoint = "[]"] = /^ENTRYPOINT (.*)$/m.exec(find(target)) ?? [];
  const [, assignments = ""] = /^ENV (.*)$/m.exec(find("runtime")) ?? [];
  const [node, ...rest] = JSON.parse(entrypoint) as string[];
  if (node === undefined) throw new Error(`the Dockerfile has no ENTRYPOINT for ${target}`);
  return {
    nodeOptions: rest.filter((part) => part.startsWith("--")),
    env: Object.fromEntries(assignments.split(/\s+/).map((each) => each.split("=", 2) as [string, string])),
  };
}
