/*
 * What the doctor finds about OwnerBlocks: the database must have each of them, and must have carried it out.
 */
import { parseOwnerBlock } from "../../kube/resources/owner-block.ts";
import { count } from "../../runtime/text.ts";
import { type DesiredBlock, describeUnreadable, isEffective, isErased } from "../../token/block.ts";
import type { CrossExamination } from "./examination.ts";
import type { Finding } from "./finding.ts";

/** The differences between the OwnerBlocks and what the database has of them. Pure. */
export function judgeBlocks({ resources, rows }: CrossExamination["blocks"], now: Date): Finding[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const lifted = rows.filter(({ name }) => !resources.some(({ metadata }) => metadata.name === name));
  return [
    ...resources.flatMap((resource): Finding[] => {
      const { name } = resource.metadata;
      const object = `OwnerBlock ${name}`;
      const { desired, problem } = parseOwnerBlock(resource);
      const row = byName.get(name);
      const kept = desired === undefined && row?.uid === resource.metadata.uid ? row.owner : undefined;
      const invalid = problem === undefined ? [] : [describeInvalid(object, describeUnreadable(problem, kept))];
      if (desired === undefined) return invalid;
      const fault = findBlockFault({ ...desired, uid: resource.metadata.uid }, row, now);
      const fix = { kind: "reconcileBlock", name } as const;
      return [
        ...invalid,
        ...(fault === undefined ? [] : [{ kind: "OwnerBlockDiffers" as const, object, ...fault, fix }]),
      ];
    }),
    ...lifted.map(
      ({ name, owner }): Finding => ({
        kind: "OwnerBlockWithoutResource",
        object: `OwnerBlock ${name}`,
        problem: `it is gone, but the database still blocks owner "${owner}"`,
        remedy: "lift the block in the database",
        fix: { kind: "reconcileBlock", name },
      }),
    ),
  ];
}

function describeInvalid(object: string, problem: string): Finding {
  return { kind: "InvalidOwnerBlock", object, problem, remedy: "correct the spec" };
}

function findBlockFault(
  desired: DesiredBlock & { readonly uid: string },
  row: CrossExamination["blocks"]["rows"][number] | undefined,
  now: Date,
): Pick<Finding, "problem" | "remedy"> | undefined {
  const isMirrored =
    row?.uid === desired.uid &&
    row.owner === desired.owner &&
    row.reason === desired.reason &&
    row.effectiveAt.getTime() === desired.effectiveAt.getTime();
  if (!isMirrored) {
    const problem = `the database ${row === undefined ? "does not have it" : "has a different version of it"}`;
    return { problem, remedy: "record it in the database, and revoke the owner's tokens once it takes effect" };
  }
  if (!isEffective(desired, now)) return undefined;
  if (row.acceptedTokens > 0) {
    const problem = `owner "${desired.owner}" has ${count(row.acceptedTokens, "accepted token")}`;
    return { problem, remedy: "revoke the owner's tokens" };
  }
  if (desired.mustErase && !isErased(row)) {
    return { problem: `owner "${desired.owner}" is not erased yet`, remedy: "erase the owner" };
  }
  return undefined;
}
