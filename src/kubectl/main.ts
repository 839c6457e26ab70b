#!/usr/bin/env node
/*
 * The program `kubectl-apitoken`, which kubectl runs as `kubectl apitoken`. It does not wait at its top level, because its bundle is
 * a CommonJS script: build.mjs explains why.
 */
import { startPlugin } from "./start.ts";

startPlugin();
