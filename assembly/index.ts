// Every kernel the host can call. Rooms add one line each.
export * from "./layout";
