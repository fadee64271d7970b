/**
 * Preloaded by a process (`--require`, which reaches its threads): its wall clock is ahead of the machine's by so many milliseconds
 * (behind, below 0). The kernel can give a process another monotonic clock, and no other wall clock. Plain JavaScript, as a preload
 * runs before TypeScript can be loaded.
 */
const AHEAD_MS = Number(process.env.FORESHARD_TEST_CLOCK_AHEAD_MS ?? 0);
const MachineDate = Date;

globalThis.Date = class ShiftedDate extends MachineDate {
  constructor(...parts) {
    if (parts.length === 0) super(MachineDate.now() + AHEAD_MS);
    else super(...parts);
  }

  static now() {
    return MachineDate.now() + AHEAD_MS;
  }
};
