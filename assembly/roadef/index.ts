// The machine reassignment search of bench/roadef: a module of its own, so that the shipped kernels do not carry it.
export { layoutHeapBase } from "../layout";
export { roadefApply, roadefBlockBytes, roadefDelta, roadefRun } from "./run";
export { roadefReset } from "./state";
