#!/usr/bin/env node
/*
 * Provides everything that `npm start` and `npm test` need: dependencies, Node 24, Postgres, and a Kubernetes control
 * plane. --alerts, --chart, --gateways, --gitops, --krew and --leaks add the tools that test these; --e2e gets the chart's tools instead
 * of the control plane, and --kind adds kind.
 * It runs before anything is installed, so it is plain JavaScript without dependencies, for Node 20 and later. The npm
 * script that follows runs in a new shell and thus finds the Node that was installed here.
 */
import { fileURLToPath } from "node:url";
import { provideAlertTools } from "./setup/alert-tools.mjs";
import { provideChartTools } from "./setup/chart-tools.mjs";
import { provideControlPlane } from "./setup/control-plane.mjs";
import { installDependencies } from "./setup/dependencies.mjs";
import { provideGatewayTools } from "./setup/gateway-tools.mjs";
import { provideGitOpsTools } from "./setup/gitops-tools.mjs";
import { provideKind } from "./setup/kind-tool.mjs";
import { provideKrewTools } from "./setup/krew-tools.mjs";
import { provideLeakTools } from "./setup/leak-tools.mjs";
import { withLock } from "./setup/lock.mjs";
import { provideSpringBackend } from "./setup/spring-backend.mjs";

const OLDEST_NODE = 20;

try {
  if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
    throw new Error(
      `Node ${process.versions.node} is too old; install Node ${OLDEST_NODE} or newer (https://nodejs.org)`,
    );
  }
  if (!["linux", "darwin"].includes(process.platform) || !["x64", "arm64"].includes(process.arch)) {
    throw new Error(`${process.platform} on ${process.arch} is not supported; use Linux or macOS on x64 or arm64`);
  }
  await withLock(fileURLToPath(new URL("../", import.meta.url)), async () => {
    await installDependencies();
    const isFor = (option) => process.argv.includes(option);
    if (!isFor("--e2e")) await provideControlPlane();
    if (isFor("--alerts")) await provideAlertTools();
    if (isFor("--chart")) await provideChartTools();
    if (isFor("--gateways")) {
      await provideGatewayTools();
      await provideSpringBackend();
    }
    if (isFor("--gitops")) await provideGitOpsTools();
    if (isFor("--krew")) await provideKrewTools();
    if (isFor("--leaks")) await provideLeakTools();
    if (isFor("--e2e")) await provideChartTools({ isForE2e: true });
    if (isFor("--kind")) await provideKind();
  });
} catch (error) {
  process.stderr.write(`\nset-up: ${error.message}\n`);
  process.exitCode = 1;
}
