import { z } from 'zod';
import { WINDOW_FORMAT } from '../../../src/affinity/timetable/windows.ts';

/** Beyond these, squares of utilisations would leave the range of f64, and a cost would be no number. */
const AMOUNT_MAX = 1e60;
const AMOUNT_MIN = 1e-60;

/** The file that `foreshard plan` reads. Descriptions complete the sentence "it must be …" of an error message. */
const amount = () => z.number().min(0).max(AMOUNT_MAX).describe('a number, 0 or more, at most 1e60');
const positive = (what: string) =>
  z.number().min(AMOUNT_MIN).max(AMOUNT_MAX).describe(`a number above 0, 1e-60 to 1e60: ${what}`);
const count = (what: string) => z.number().int().min(0).describe(`a whole number: ${what}`);
const id = () => z.string().min(1).describe('a name');
const ids = (what: string) => z.array(id()).min(1).describe(`a list of ${what}, at least one`);

/** By resource: one amount for all slots, or a list with one for each. */
const perSlot = (what: string) =>
  z
    .record(id(), z.union([amount(), z.array(amount()).min(1)]))
    .describe(
      `${what}, for each resource a number, 0 or more, or a list of such numbers with one for each slot`,
    );

const node = z.strictObject({
  id: id(),
  zone: id().optional(),
  capacity: z
    .record(id(), positive('what the node can carry'))
    .describe('for each resource a number above 0: what the node can carry'),
  background: perSlot('what loads the node besides the partitions').optional(),
  utilisation: perSlot(
    'measured load of the node, its partitions included: instead of background',
  ).optional(),
  bandwidthBytesPerSecond: positive('bytes per second that copies may use').optional(),
  freeBytes: amount().optional(),
  isDraining: z.boolean().describe('true or false: whether all its partitions have to leave').optional(),
});

const partition = z.strictObject({
  id: id(),
  node: id(),
  sizeBytes: amount(),
  load: perSlot('mean load'),
  upper: perSlot('load at the upper quantile, not below the mean').optional(),
  dirtyBytesPerSecond: amount().optional(),
});

const rules = z.strictObject({
  pinned: z.array(z.strictObject({ partitions: ids('partitions'), node: id().optional() })).optional(),
  forbidden: z.array(z.strictObject({ partitions: ids('partitions'), nodes: ids('nodes') })).optional(),
  zones: z.array(z.strictObject({ partitions: ids('partitions'), zones: ids('zones') })).optional(),
  apart: z
    .array(
      z.strictObject({
        partitions: ids('partitions'),
        zonesMin: z.number().int().min(1).describe('a whole number from 1').optional(),
      }),
    )
    .optional(),
  together: z.array(z.strictObject({ partitions: ids('partitions') })).optional(),
  movesMax: count('moves in the plan').optional(),
  nodeMovesMax: count('moves out of one node and into it').optional(),
  bytesMovedMax: amount().optional(),
  copiesPerNodeMax: z.number().int().min(1).describe('a whole number from 1').optional(),
  windows: z
    .array(z.string())
    .min(1)
    .describe(`a list of times in which moves may run, such as ${WINDOW_FORMAT}`)
    .optional(),
});

export const planInstanceSchema = z.strictObject({
  $schema: z.string().optional(),
  nodes: z.array(node).min(1).describe('a list of nodes, at least one'),
  partitions: z.array(partition).describe('a list of partitions'),
  slotSeconds: positive('the length of a slot, seconds'),
  startTime: z.iso
    .datetime({ offset: true })
    .describe('the time slot 0 begins, such as "2026-01-01T00:00:00Z"')
    .optional(),
  bandwidthBytesPerSecond: positive(
    'bytes per second that copies may use, where a node states none',
  ).optional(),
  upperLevel: z
    .number()
    .gt(0.5)
    .lt(1)
    .describe('a number between 0.5 and 1: the quantile that "upper" is')
    .optional(),
  resources: z
    .record(
      id(),
      z.strictObject({
        weight: z.number().min(0).describe('a number, 0 or more: 0 makes it a limit and no cost').optional(),
        isTransient: z
          .boolean()
          .describe('true or false: whether a partition that moves takes it on both nodes')
          .optional(),
      }),
    )
    .describe('for each resource a section of weight and isTransient')
    .optional(),
  rules: rules.optional(),
});

export type PlanInstanceFile = z.infer<typeof planInstanceSchema>;

/** What `docs/plan-instance.schema.json` holds, for completion and checking in an editor. */
export const planInstanceJsonSchema = (): unknown => z.toJSONSchema(planInstanceSchema);
