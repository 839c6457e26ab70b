import { describe, expect, test } from "vitest";
import { kubectlCommand } from "../../../src/kubectl/command.ts";
import { findSlot } from "../../../src/kubectl/completion/slot.ts";

const slotOf = (line: string) => findSlot(kubectlCommand, line.split(" "));
const fixed = (line: string) => {
  const slot = slotOf(line);
  return slot.kind === "fixed" ? slot.candidates.map(({ value }) => value) : [];
};

describe("what is completed", () => {
  test("first is a command", () => {
    expect(fixed("st")).toEqual(kubectlCommand.commands?.map(({ name }) => name));
    expect(fixed("-n shop ")).toContain("status");
  });

  test.each([
    ["status ", "names"],
    ["status -n shop o", "names"],
    ["rotate ", "names"],
    ["owner ", "owners"],
    ["offboard --erase ali", "owners"],
    ["explain Po", "reasons"],
    ["check ", "categories"],
    ["list -n ", "namespaces"],
    ["list --owner ", "owners"],
    ["status --context ", "contexts"],
  ])("after %j are the cluster's %s", (line, what) => {
    expect(slotOf(line)).toMatchObject({ kind: "live", what });
  });

  test("after an option with fixed values is one of them", () => {
    expect(fixed("list -o ")).toEqual(["text", "wide", "name", "json", "yaml"]);
  });

  test("after a dash is an option of the command", () => {
    expect(fixed("list --")).toEqual(expect.arrayContaining(["--owner", "--watch", "--namespace", "--help"]));
    expect(fixed("explain --")).not.toContain("--namespace");
  });

  test("after --kubeconfig is a file", () => {
    expect(slotOf("list --kubeconfig /ho").kind).toBe("files");
  });

  test.each(["create ", "status orders ", "version "])("after %j is nothing", (line) => {
    expect(fixed(line)).toEqual([]);
    expect(slotOf(line).kind).toBe("fixed");
  });
});

test("the options that choose a cluster are kept for the look into it", () => {
  expect(slotOf("status -n shop --context=prod --kubeconfig f o").given).toEqual({
    namespace: "shop",
    context: "prod",
    kubeconfig: "f",
  });
});
