// The control block of one search: byte offsets, repeated in bench/roadef/layout.ts and compared on load. Counts and
// pointers are u32. Columns are resources, then balance objectives, padded to a multiple of four; "rich" services are
// those with more than one process or a dependency: nothing but capacity can forbid a move of the others.

export const PROCESS_COUNT: usize = 0;
export const MACHINE_COUNT: usize = 4;
export const COLUMN_COUNT: usize = 8;
export const SERVICE_COUNT: usize = 12;
export const RICH_COUNT: usize = 16;
export const LOCATION_COUNT: usize = 20;
export const NEIGHBOURHOOD_COUNT: usize = 24;
/** Processes that fit into the list of a machine; a full machine is not proposed as a target. */
export const LIST_CAPACITY: usize = 28;

// The instance, shared by all searches on one memory.
export const REQUIREMENT: usize = 32; // i32[process + 1][column], the last row is zero: the null process
export const CAPACITY: usize = 36; // i32[machine][column]
export const SAFETY: usize = 40; // i32[machine][column]
export const WEIGHT: usize = 44; // i32[column]
export const STAYING: usize = 48; // i32[column]: 0 for a transient resource, -1 for every other
export const HOME: usize = 52; // i32[process + 1], the last is -1
export const SERVICE: usize = 56; // i32[process + 1], the last is -1
export const RICH: usize = 60; // i32[process + 1]: the rich service, or -1
export const PROCESS_PRICE: usize = 64; // i32[process + 1]
export const MACHINE_PRICE: usize = 68; // i32[source][target]
export const LOCATION: usize = 72; // i32[machine]
export const NEIGHBOURHOOD: usize = 76; // i32[machine]
export const SPREAD_MIN: usize = 80; // i32[rich]
export const NEEDS_START: usize = 84; // i32[rich + 1] into NEEDS
export const NEEDS: usize = 88; // i32[]: the rich services this one depends on
export const NEEDED_BY_START: usize = 92; // i32[rich + 1] into NEEDED_BY
export const NEEDED_BY: usize = 96; // i32[]: the rich services that depend on this one
export const SERVICE_PRICE: usize = 100;
export const NEGATIVE_LOG: usize = 104; // f32[4096]: -ln((i + 0.5) / 4096)

// The state of this search.
export const OWNER: usize = 108; // i32[process + 1]
export const BEST_OWNER: usize = 112; // i32[process]
export const OVER: usize = 116; // i32[machine][column]: usage - safety capacity
export const FREE: usize = 120; // i32[machine][column]: capacity - usage - what processes left behind
export const MACHINE_COST: usize = 124; // f64[machine]: load and balance
export const LIST: usize = 128; // i32[machine][LIST_CAPACITY]
export const LIST_LENGTH: usize = 132; // i32[machine]
export const LIST_INDEX: usize = 136; // i32[process]
export const AWAY: usize = 140; // i32[process]: those not at home, AWAY_COUNT of them
export const AWAY_INDEX: usize = 144; // i32[process]
export const PRESENT: usize = 148; // u8[rich][machine]
export const LOCATION_USE: usize = 152; // i32[rich][location]
export const LOCATION_SPREAD: usize = 156; // i32[rich]
export const NEIGHBOURS: usize = 160; // i32[rich][neighbourhood]: processes there
export const MISSING: usize = 164; // i32[rich][neighbourhood]: services it depends on with no process there
export const NEEDING: usize = 168; // i32[rich][neighbourhood]: services there that depend on it
export const MOVED: usize = 172; // i32[service]: processes away from home
export const MOVED_HISTOGRAM: usize = 176; // i32[most processes of a service + 1]: services by MOVED
export const JOURNAL: usize = 180; // u32[JOURNAL_COUNT][2]: process, where it came from; since the best map
export const OPERATORS: usize = 184; // u8[64]: the operator of a six-bit draw
export const OPERATOR_STATS: usize = 188; // u32[operator][2]: proposed, accepted

export const AWAY_COUNT: usize = 192;
export const MOVED_MOST: usize = 196;
export const JOURNAL_LENGTH: usize = 200;
/** 1 once BEST_OWNER holds the best map; until then it is the present one with the journal undone. */
export const IS_BEST_KEPT: usize = 204;
/** Machines drawn for the hottest of them. */
export const TOURNAMENT: usize = 208;
export const ACCEPTED_COUNT: usize = 212;
export const COST: usize = 216; // i64, of the present map
export const BEST_COST: usize = 224; // i64
export const TEMPERATURE: usize = 232; // f64
export const RANDOM: usize = 240; // u64
export const BLOCK_BYTES: u32 = 248;

export const JOURNAL_COUNT: u32 = 65536;
export const NEGATIVE_LOG_COUNT: u32 = 4096;

@inline
export function at(block: usize, field: usize): usize {
  return <usize>load<u32>(block + field);
}

/** Element of an i32 array of the block. */
@inline
export function item(block: usize, field: usize, index: i32): i32 {
  return load<i32>(at(block, field) + ((<usize>index) << 2));
}

@inline
export function slot(block: usize, field: usize, index: i32): usize {
  return at(block, field) + ((<usize>index) << 2);
}
