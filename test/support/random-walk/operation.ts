/*
 * What an operation of a random walk is, and the usual choices of what it is done to.
 */
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { OWNERS, pickExisting, pickName, pickSecret, type Walk } from "./world.ts";

/** Something that people do: a sentence, its weight, and the deed, which resolves with the name of what it was done to. */
export type Operation = readonly [sentence: string, weight: number, operate: (walk: Walk) => Promise<string>];

type Deed = Operation[2];

/** Does it to an ApiToken that may or may not exist. */
export function onToken(change: (walk: Walk, name: string) => Promise<unknown>): Deed {
  return async (walk) => {
    const name = pickName(walk);
    await change(walk, name);
    return name;
  };
}

/** Does it to an ApiToken that exists. */
export function onExisting(change: (walk: Walk, name: string) => Promise<unknown>): Deed {
  return async (walk) => {
    const name = await pickExisting(walk);
    await change(walk, name);
    return name;
  };
}

/** Changes the spec of an ApiToken that exists, with a merge patch. */
export function onSpec(build: (walk: Walk, name: string) => object): Deed {
  return onExisting((walk, name) => walk.cluster.patch(name, build(walk, name)));
}

/** Does it to a Secret that the controller has written. */
export function onSecret(change: (walk: Walk, name: string, secret: Secret) => Promise<unknown>): Deed {
  return async (walk) => {
    const secret = await pickSecret(walk);
    if (secret === undefined) return "none";
    await change(walk, secret.metadata.name, secret);
    return secret.metadata.name;
  };
}

/** Does it to one of the owners. */
export function onOwner(change: (walk: Walk, owner: string) => Promise<unknown>): Deed {
  return async (walk) => {
    const owner = walk.random.pick(OWNERS);
    await change(walk, owner);
    return owner;
  };
}
