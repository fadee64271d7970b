// The annealing loop: draws a proposal, prices it exactly, and accepts it by Metropolis' rule.
import {
  ACCEPTED_COUNT, at, AWAY, AWAY_COUNT, BEST_COST, BLOCK_BYTES, COST, HOME, item, LIST, LIST_CAPACITY,
  LIST_LENGTH, MACHINE_COST, MACHINE_COUNT, NEGATIVE_LOG, OPERATOR_STATS, OPERATORS, OWNER, PROCESS_COUNT, RANDOM,
  TEMPERATURE, TOURNAMENT,
} from "./block";
import { INFEASIBLE, moveDelta, usageDelta } from "./cost";
import { servicesAllow } from "./rules";
import { keepBest, markBest, remember, transfer } from "./state";

/** The host compares it with its own copy of the layout. */
export function roadefBlockBytes(): u32 {
  return BLOCK_BYTES;
}

// Operators, in the order of OPERATOR_STATS.
const SHIFT: u32 = 0; // any process to any machine
const SWAP: u32 = 1; // any two processes
const HOT_SHIFT: u32 = 2; // a process of a hot machine to any machine
const HOT_SWAP: u32 = 3; // a process of a hot machine with one of any machine
const RETURN: u32 = 4; // a moved process to its home
const REPLACE: u32 = 5; // a moved process to its home, and one from there in its place
const AWAY_SHIFT: u32 = 6; // a moved process to any machine
const AWAY_SWAP: u32 = 7; // a moved process with any process

/** splitmix64. @see Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014 */
@inline
function nextRandom(block: usize): u64 {
  const state = load<u64>(block, RANDOM) + 0x9e3779b97f4a7c15;
  store<u64>(block, state, RANDOM);
  let z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** Uniform in [0, count) from the lower 32 bits; the bias of count / 2^32 does not matter to a search. */
@inline
function drawBelow(draw: u64, count: i32): i32 {
  return <i32>(((draw & 0xffffffff) * <u64>count) >> 32);
}

/** The costliest of a few random machines. */
function hotMachine(block: usize): i32 {
  const machineCount = load<i32>(block, MACHINE_COUNT);
  const costs = at(block, MACHINE_COST);
  let hottest = drawBelow(nextRandom(block), machineCount);
  for (let i = load<i32>(block, TOURNAMENT) - 1; i > 0; i--) {
    const machine = drawBelow(nextRandom(block), machineCount);
    if (load<f64>(costs + ((<usize>machine) << 3)) > load<f64>(costs + ((<usize>hottest) << 3))) hottest = machine;
  }
  return hottest;
}

/** A random process of the machine, or -1 if there is none. */
@inline
function processOn(block: usize, machine: i32, draw: u64): i32 {
  const length = item(block, LIST_LENGTH, machine);
  if (length == 0) return -1;
  return item(block, LIST, machine * load<i32>(block, LIST_CAPACITY) + drawBelow(draw, length));
}

/**
 * Runs `iterations` proposals at TEMPERATURE; those that change nothing, or that a constraint forbids, count as well. Call
 * roadefReset first; the block keeps all state between calls.
 *
 * @returns proposals accepted since the reset.
 */
export function roadefRun(block: usize, iterations: u32): u32 {
  const processCount = load<i32>(block, PROCESS_COUNT);
  const machineCount = load<i32>(block, MACHINE_COUNT);
  const operators = at(block, OPERATORS);
  const stats = at(block, OPERATOR_STATS);
  const negativeLog = at(block, NEGATIVE_LOG);
  const temperature = load<f64>(block, TEMPERATURE);
  // One place is kept for swaps, which enter a list before they leave it.
  const shiftedLengthMax = load<i32>(block, LIST_CAPACITY) - 1;
  if (processCount == 0) return 0;

  for (let i: u32 = 0; i < iterations; i++) {
    const draw = nextRandom(block);
    const operator = <u32>load<u8>(operators + <usize>((draw >> 32) & 63));
    const luck = load<f32>(negativeLog + ((<usize>((draw >> 38) & 4095)) << 2));
    let p: i32;
    let q = processCount;
    let b: i32 = -1;
    if (operator <= SWAP) p = drawBelow(draw, processCount);
    else if (operator <= HOT_SWAP) {
      p = processOn(block, hotMachine(block), draw);
      if (p < 0) continue;
    } else {
      const awayCount = load<i32>(block, AWAY_COUNT);
      if (awayCount == 0) continue;
      p = item(block, AWAY, drawBelow(draw, awayCount));
    }
    const a = item(block, OWNER, p);
    if (operator == SHIFT || operator == HOT_SHIFT || operator == AWAY_SHIFT)
      b = drawBelow(nextRandom(block), machineCount);
    else if (operator == RETURN) b = item(block, HOME, p);
    else {
      if (operator == REPLACE) q = processOn(block, item(block, HOME, p), nextRandom(block));
      else if (operator == HOT_SWAP) q = processOn(block, drawBelow(nextRandom(block), machineCount), draw >> 20);
      else q = drawBelow(nextRandom(block), processCount);
      if (q < 0) continue;
      b = item(block, OWNER, q);
    }
    if (a == b) continue;
    const stat = stats + ((<usize>operator) << 3);
    store<u32>(stat, load<u32>(stat) + 1);
    const usage = usageDelta(block, p, q, a, b);
    if (usage == INFEASIBLE) continue;
    const limit = temperature * <f64>luck;
    const delta = usage + moveDelta(block, p, q, a, b);
    if (<f64>delta > limit) continue;
    if (!servicesAllow(block, p, q, a, b)) continue;
    if (q == processCount && item(block, LIST_LENGTH, b) >= shiftedLengthMax) continue;
    store<u32>(stat, load<u32>(stat, 4) + 1, 4);
    accept(block, p, q, a, b, delta);
  }
  keepBest(block);
  return load<u32>(block, ACCEPTED_COUNT);
}

function accept(block: usize, p: i32, q: i32, a: i32, b: i32, delta: i64): void {
  if (q != load<i32>(block, PROCESS_COUNT)) {
    transfer(block, q, b, a);
    remember(block, q, b);
  }
  transfer(block, p, a, b);
  remember(block, p, a);
  const cost = load<i64>(block, COST) + delta;
  store<i64>(block, cost, COST);
  store<u32>(block, load<u32>(block, ACCEPTED_COUNT) + 1, ACCEPTED_COUNT);
  if (cost < load<i64>(block, BEST_COST)) markBest(block);
}

/** Exact change of the total cost if p went from its machine to b and q (or the null process) came back; for tests. */
export function roadefDelta(block: usize, p: i32, q: i32, b: i32): i64 {
  const a = item(block, OWNER, p);
  const usage = usageDelta(block, p, q, a, b);
  if (usage == INFEASIBLE || !servicesAllow(block, p, q, a, b)) return INFEASIBLE;
  return usage + moveDelta(block, p, q, a, b);
}

/** Carries out what roadefDelta has priced; for tests. */
export function roadefApply(block: usize, p: i32, q: i32, b: i32): void {
  const delta = roadefDelta(block, p, q, b);
  assert(delta != INFEASIBLE, "only a legal proposal is carried out");
  accept(block, p, q, item(block, OWNER, p), b, delta);
}
