/*
 * What the doctor finds about ApiTokenPolicies. They need no other object to be wrong: a pattern that reaches further than
 * it seems to is accepted by the API server, and nobody notices until a tenant uses it.
 */
import { parsePolicy } from "../../kube/resources/policy.ts";
import { findReach, type Policy, selects } from "../../token/policy.ts";
import type { ClusterExamination } from "./examination.ts";
import type { Finding } from "./finding.ts";

/** What is wrong with each policy. Pure. */
export function judgePolicies({ policies, namespaces }: ClusterExamination): Finding[] {
  return policies.flatMap((resource): Finding[] => {
    const object = `ApiTokenPolicy ${resource.metadata.name}`;
    try {
      const policy = parsePolicy(resource);
      const isUsed = namespaces.some(({ metadata }) => selects(policy.namespaceSelector, metadata.labels));
      return [...(isUsed ? [] : [selectsNothing(object)]), ...judgeReach(object, policy)];
    } catch (error) {
      const problem = `it cannot be read, so no policy applies and nothing new is issued: ${(error as Error).message}`;
      return [{ kind: "InvalidPolicy", object, problem, remedy: "correct the policy, or delete it" }];
    }
  });
}

function selectsNothing(object: string): Finding {
  const remedy = "correct its namespaceSelector, label the namespaces that it is meant for, or delete it";
  return { kind: "PolicySelectsNothing", object, problem: "it selects no namespace", remedy };
}

const FIELDS = [
  { field: "owners", one: "owner", danger: "can act for them, and end their tokens" },
  { field: "scopes", one: "scope", danger: "can have them" },
] as const;

function judgeReach(object: string, policy: Policy): Finding[] {
  return FIELDS.flatMap(({ field, one, danger }) =>
    policy[field].flatMap((entry): Finding[] => {
      const reach = findReach(entry);
      if (reach === undefined) return [];
      const { namespace, glob, other } = reach;
      return [
        {
          kind: "PolicyCrossesNamespaces",
          object,
          problem: `its ${field} entry "${entry}" reaches other namespaces: in namespace "${namespace}" it is "${glob}", which includes ${field} of namespace "${other}". An ApiToken in "${namespace}" ${danger}`,
          remedy: `separate \${namespace} with a character that no namespace's name has, such as "\${namespace}/*"; ApiTokens whose ${one} is not allowed anymore are denied`,
        },
      ];
    }),
  );
}
