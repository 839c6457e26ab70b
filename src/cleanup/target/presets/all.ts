/*
 * All presets, in the order of their names.
 */
import * as applications from "./applications.ts";
import * as identity from "./identity.ts";
import * as javaAndDotnet from "./java-and-dotnet.ts";
import * as phpAndRuby from "./php-and-ruby.ts";
import type { Preset } from "./preset.ts";
import * as pythonAndNode from "./python-and-node.ts";

export const PRESETS: readonly Preset[] = [applications, identity, javaAndDotnet, phpAndRuby, pythonAndNode]
  .flatMap((presets): Preset[] => Object.values(presets))
  .sort((left, right) => (left.name < right.name ? -1 : 1));
