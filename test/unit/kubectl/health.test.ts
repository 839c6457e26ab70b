import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { buildArgs } from "../../../src/kubectl/health/doctor.ts";
import { judgeCronJob, judgeDeployment, judgeLease } from "../../../src/kubectl/health/operator.ts";
import { judgeVersion, OLDEST_KUBERNETES } from "../../../src/kubectl/health/pre.ts";
import { withoutTokens } from "../../../src/kubectl/health/report.ts";
import { judgeDatabase, judgeTokens } from "../../../src/kubectl/health/resources.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { readProjectFile } from "../docs/tables.ts";
import { DAY_MS, fromNow, NOW } from "./builders.ts";

const aDeployment = (wanted: number, available: number) => ({
  ...{
    namespace: "n",
    name: "d",
    component: "controller",
    version: "0.1.0",
    wanted,
    available,
  },
});

test.each([
  [2, 2, "ok"],
  [2, 1, "warning"],
  [2, 0, "failure"],
  [0, 0, "failure"],
])("a Deployment that wants %d pods and has %d is: %s", (wanted, available, level) => {
  expect(judgeDeployment(aDeployment(wanted, available), "controller", "x").level).toBe(level);
});

describe("a Lease", () => {
  const aLease = (agoMs: number) => ({ holder: "a", renewedAt: fromNow(-agoMs), durationSeconds: 15 });

  test.each([
    ["that was just renewed", aLease(1_000), "ok"],
    ["of a clock that is a little ahead", aLease(-10_000), "ok"],
    ["that has expired by the clocks of both", aLease(60_000), "failure"],
    ["without a holder", { ...aLease(0), holder: undefined }, "failure"],
    ["that does not exist", undefined, "warning"],
    ["that may not be read", "forbidden" as const, "warning"],
  ])("%s: %#", (_, lease, level) => {
    expect(judgeLease(lease, { namespace: "n" }, NOW).level).toBe(level);
  });
});

describe("the cleanup's CronJob", () => {
  const aJob = (status: object, spec: object = {}) => ({
    metadata: { name: "c", namespace: "n" },
    spec: { schedule: "0 2 * * *", ...spec },
    status,
  });

  test.each([
    ["that succeeded last night", aJob({ lastSuccessfulTime: fromNow(-DAY_MS / 2) }), "ok"],
    ["that has not succeeded for two nights", aJob({ lastSuccessfulTime: fromNow(-3 * DAY_MS) }), "failure"],
    ["that has never succeeded", aJob({ lastScheduleTime: fromNow(-DAY_MS) }), "failure"],
    ["that was never due", aJob({}), "ok"],
    ["that is suspended", aJob({}, { suspend: true }), "warning"],
  ])("%s: %#", (_, job, level) => {
    expect(judgeCronJob(job, NOW).level).toBe(level);
  });
});

test("the database is away when conditions say so", () => {
  const census = (reasons: Record<string, number>) => ({ total: 9, ready: 1, reasons });
  expect(judgeDatabase(census({ Issued: 9 }), [])[0]?.level).toBe("ok");
  expect(judgeDatabase(census({ DatabaseUnavailable: 2 }), [])[0]?.text).toBe("2 ApiTokens wait for the database");
  expect(judgeTokens(census({ Issued: 1, New: 8 }), "here")[0]?.text).toContain("New 8");
});

test("the oldest Kubernetes is that of the chart", () => {
  const { kubeVersion } = parse(readProjectFile("charts/apitoken-operator/Chart.yaml"));
  expect(kubeVersion).toBe(`>=${OLDEST_KUBERNETES.join(".")}.0-0`);
  expect(judgeVersion({ major: "1", minor: "30+", gitVersion: "v1.30.2-x" }).level).toBe("failure");
  expect(judgeVersion({ major: "1", minor: "31", gitVersion: "v1.31.0" }).level).toBe("ok");
});

test("no token is in a report", () => {
  const { plaintext, id } = createToken();
  const text = JSON.stringify(withoutTokens({ message: `the Secret holds ${plaintext}.` }));
  expect(text).not.toContain(plaintext);
  expect(text).toContain(id);
});

test("the doctor runs with the plugin's options, in the controller's container", () => {
  const options = { kubeconfig: "k", context: "c", as: undefined, namespace: undefined, "request-timeout": 1 };
  expect(buildArgs({ namespace: "n", name: "d" }, { ...options, fix: true, output: "json" }).join(" ")).toBe(
    "--kubeconfig k --context c exec -n n deployment/d -c controller -- /usr/local/bin/node /app/controller.js doctor --fix -o json",
  );
});
