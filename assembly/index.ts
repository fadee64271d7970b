// Every kernel the host can call. Rooms add one line each.
export * from "./layout";
export * from "./search/kernels";
export * from "./seasonal";
export * from "./ridge";
export * from "./ridge-sums";
export * from "./cluster";
export * from "./ets";
export * from "./regressions";
export * from "./css";
export { etsStart, tileLanes, tileOfOne, tileOfSeries } from "./tiles";
export { lstmTraceCount, lstmWeightCount } from "./lstm-shape";
export * from "./lstm";
export * from "./lstm-backward";
export * from "./adam";
export { lstmOutputCount } from "./lstm-outputs";
export * from "./lstm-rows";
export * from "./lstm-mix";
export * from "./stl";
