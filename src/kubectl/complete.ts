#!/usr/bin/env node
/*
 * The program `kubectl_complete-apitoken`, which kubectl runs to complete a command line of `kubectl apitoken`.
 * https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#plugin-shell-completion
 */
import { printCompletions } from "./completion/print.ts";

printCompletions(process.argv.slice(2));
