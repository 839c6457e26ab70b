/*
 * OwnerBlock: its schema, and how it is read. What a block does is decided in the database, where all clusters see it.
 */
import { z } from "zod";
import { stripControls } from "../../runtime/text.ts";
import type { DesiredBlock, OwnerBlockStatus } from "../../token/block.ts";
import type { Fields } from "../json-fields.ts";
import { API_VERSION, IDENTITY_FIELDS, type ObjectMeta } from "./group.ts";
import { describeProblems, OWNER_RULE, ownerField, rules, TEXT_RULE, timeField } from "./schema.ts";

export const ownerBlockSpecSchema = z
  .object({
    owner: ownerField().meta({
      description:
        "The owner whose tokens are revoked, and to whom none is issued: the same text as spec.owner of ApiTokens, 1 to 253 visible ASCII characters. Required, and cannot be changed.",
      ...rules(
        {
          rule: "self == oldSelf",
          message: "cannot be changed: delete this OwnerBlock and create another",
        },
        OWNER_RULE,
      ),
    }),
    reason: z
      .string()
      .max(256)
      .default("")
      .meta({
        description:
          "Why the owner is blocked, in one line of at most 256 characters. Anyone who can read an ApiToken of the owner sees it there, in the condition. Default: empty.",
        ...rules(TEXT_RULE),
      }),
    effectiveAt: timeField().optional().meta({
      description:
        "When the block takes effect (RFC 3339, such as 2030-12-31T23:59:59Z), by the database's clock. It may be in the future, such as a leaving date: until then tokens are issued and keep working. Default: at once.",
    }),
    erase: z.boolean().default(false).meta({
      description:
        "true deletes the owner's token rows once the block is in effect, and replaces the owner's name in the audit trail with a pseudonym. This cannot be undone. Default: false, and the rows stay until the cleanup deletes them.",
    }),
  })
  .meta({
    description: "Which owner is blocked, and from when.",
    ...rules({ rule: "has(self.owner)", message: "owner is missing: state who is blocked, such as owner: alice" }),
  });

/** An OwnerBlock as the API server returns it. */
export interface OwnerBlock {
  readonly metadata: ObjectMeta;
  readonly spec: unknown;
  readonly status?: OwnerBlockStatus;
}

/** The path of all OwnerBlocks. */
export const OWNER_BLOCKS_PATH = `/apis/${API_VERSION}/ownerblocks`;

/** What is read of a large OwnerBlock. */
export const OWNER_BLOCK_FIELDS: Fields = { metadata: IDENTITY_FIELDS, spec: "whole", status: "whole" };

/** Keeps only what the program reads of an OwnerBlock. */
export function reduceOwnerBlock(raw: unknown): OwnerBlock {
  const { metadata, spec, status } = raw as OwnerBlock;
  const { name, uid, resourceVersion, generation, creationTimestamp } = metadata;
  return {
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(generation === undefined ? {} : { generation }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    spec,
    ...(status === undefined ? {} : { status }),
  };
}

/** What could be read of a block: what it asks for, what is wrong with it, or both. */
export type ParsedBlock =
  | { readonly desired: DesiredBlock; readonly problem?: string }
  | { readonly desired?: undefined; readonly problem: string };

/**
 * Reads a block, which takes effect at its creation if it has no `effectiveAt`. The problem names each invalid field. They are
 * read one by one: a newer CRD may have let in a reason that this controller cannot read, and the owner is erased all the same.
 */
export function parseOwnerBlock({ metadata, spec }: OwnerBlock): ParsedBlock {
  const whole = ownerBlockSpecSchema.safeParse(spec);
  const problem = whole.success ? undefined : describeProblems(whole.error);
  const { reason, erase } = (spec ?? {}) as Readonly<Record<string, unknown>>;
  const { shape } = ownerBlockSpecSchema;
  const core = ownerBlockSpecSchema.pick({ owner: true, effectiveAt: true }).safeParse(spec);
  if (!core.success) return { problem: problem ?? describeProblems(core.error) };
  const desired = {
    owner: core.data.owner,
    reason: stripControls(shape.reason.safeParse(reason).data ?? ""),
    effectiveAt: new Date(core.data.effectiveAt ?? metadata.creationTimestamp ?? 0),
    mustErase: shape.erase.safeParse(erase).data ?? false,
  };
  return problem === undefined ? { desired } : { desired, problem };
}
