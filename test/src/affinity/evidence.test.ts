import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PlacementState } from '../../../src/affinity/cost-model.ts';
import { gatherEvidence } from '../../../src/affinity/evidence/gather-evidence.ts';
import { buildInstance, type PlacementInputs } from '../../../src/affinity/instance.ts';
import { greedy } from '../../../src/affinity/optimisers/greedy.ts';
import { AffinityManager } from '../../../src/affinity/planner.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { ProposalEvidence } from '../../../src/model/proposal-evidence.ts';
import { forecastOf, inputsOf, nodeOf, randomInputs } from '../../support/placement.ts';
import { testSeed } from '../../support/seed.ts';

const test = suite('affinity/evidence');
const SEED = testSeed('affinity/evidence');
const HOUR_MS = 3_600_000;

async function proposed(
  inputs: PlacementInputs,
): Promise<{ proposal: Proposal; evidence: ProposalEvidence }> {
  const manager = new AffinityManager(DEFAULT_AFFINITY_SETTINGS, {
    random: seededRandom(1n),
    logger: silentLogger,
    optimiser: greedy,
  });
  const proposal = await manager.propose(inputs);
  return { proposal, evidence: gatherEvidence(inputs, proposal, DEFAULT_AFFINITY_SETTINGS) };
}

const random = () => randomInputs(seededRandom(SEED), { partitionCount: 48, nodeCount: 5, horizonSteps: 24 });

test('every partition is either moved or has a reason to stay, and the reason is true', async () => {
  const inputs = random();
  const { proposal, evidence } = await proposed(inputs);
  check.ok(proposal.moves.length > 3);
  check.is(evidence.moves.length, proposal.moves.length);
  check.is(evidence.stays.length + proposal.moves.length, 48);
  const state = new PlacementState(buildInstance(inputs, DEFAULT_AFFINITY_SETTINGS), proposal.targetOwnerOf);
  for (const { partitionId, alternativeNodeId, gain, price, code } of evidence.stays) {
    check.ok(Math.abs(-state.loadDelta(partitionId, alternativeNodeId as number) - gain) < 1e-9);
    if (code === 'no-gain') check.ok(gain <= 0, `seed ${SEED}: partition ${partitionId}`);
    else if (code === 'price') check.ok(gain < 1.5 * price);
    else if (code !== 'not-found') check.ok(!state.canMove(partitionId, alternativeNodeId as number));
  }
});

test('the frontier begins with staying and ends with the plan', async () => {
  const { proposal, evidence } = await proposed(random());
  const { frontier } = evidence;
  check.is(frontier.length, proposal.moves.length + 1);
  check.equal(frontier[0], { moveCount: 0, sizeBytes: 0, cost: proposal.costBefore, price: 0 });
  check.ok(Math.abs((frontier.at(-1)?.cost as number) - proposal.costAfter) < 1e-9);
  for (const { cost } of frontier) check.ok(cost <= proposal.costBefore + 1e-9);
});

test('the first breach is the first hour in which a node is above its zone, if nothing is done', async () => {
  const forecast = forecastOf({
    horizonSteps: 24,
    partitionCount: 4,
    spread: 0,
    loadOf: (t) => (t < 9 ? 2 : 4.5),
  });
  const { proposal, evidence } = await proposed(
    inputsOf({ ownerOf: [0, 0, 1, 2], nodes: [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)], forecast }),
  );
  const { firstBreach } = evidence;
  check.is(firstBreach?.nodeId, 0);
  check.is(firstBreach?.atMs, forecast.startMs + 9 * HOUR_MS);
  check.ok((firstBreach?.utilisation as number) > 0.9);
  const [dimension] = evidence.utilisation.meanBefore;
  check.is(dimension[0][9], 900, 'per mille');
  check.ok(proposal.moves.length > 0 || proposal.growth.length > 0, 'something is said of it');
});

test('load at its lower bound gains less than the plan expects; skill and relief are told', async () => {
  const inputs = random();
  inputs.forecast.skill.fill(Number.NaN).fill(0.25, 0, 24);
  const { proposal, evidence } = await proposed(inputs);
  const total = (values: readonly number[]): number => values.reduce((sum, own) => sum + own, 0);
  check.ok(
    total(evidence.moves.map(({ gainLower }) => gainLower)) < total(proposal.moves.map(({ gain }) => gain)),
  );
  evidence.moves.forEach(({ partitionId, relief, skill }, i) => {
    check.is(partitionId, proposal.moves[i].partitionId);
    check.is(relief.nodeId, proposal.moves[i].sourceNodeId);
    check.is(skill, partitionId < 24 ? 0.25 : null);
  });
});

test('a move into a node that has to give something away first names what has to go', async () => {
  // Node 1 holds a partition that is to leave for node 2; only then can 0 come from node 0.
  const loads = [6, 3, 5, 0.5];
  const forecast = forecastOf({ horizonSteps: 4, partitionCount: 4, spread: 0, loadOf: (_, p) => loads[p] });
  const inputs = inputsOf({
    ownerOf: [0, 0, 1, 2],
    nodes: [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)],
    forecast,
  });
  const { proposal } = await proposed(inputs);
  const [template] = proposal.moves;
  const moves = [
    { ...template, partitionId: 2, sourceNodeId: 1, targetNodeId: 2 },
    { ...template, partitionId: 0, sourceNodeId: 0, targetNodeId: 1 },
  ] as unknown as Proposal['moves'];
  const evidence = gatherEvidence(inputs, { ...proposal, moves }, DEFAULT_AFFINITY_SETTINGS);
  check.equal(
    evidence.moves.map(({ after }) => after.map(Number)),
    [[], [2]],
  );
});

test('where either of two that leave makes room enough, the first of them has to go before', async () => {
  const loads = [4, 5.5, 3, 3, 2];
  const forecast = forecastOf({ horizonSteps: 4, partitionCount: 5, spread: 0, loadOf: (_, p) => loads[p] });
  const inputs = inputsOf({
    ownerOf: [0, 0, 1, 1, 1],
    nodes: [nodeOf(0, 10), nodeOf(1, 10), nodeOf(2, 10)],
    forecast,
  });
  const { proposal } = await proposed(inputs);
  const moves = [
    { partitionId: 2, sourceNodeId: 1, targetNodeId: 2 },
    { partitionId: 3, sourceNodeId: 1, targetNodeId: 2 },
    { partitionId: 0, sourceNodeId: 0, targetNodeId: 1 },
  ].map((move) => ({ ...proposal.moves[0], ...move })) as unknown as Proposal['moves'];
  const evidence = gatherEvidence(inputs, { ...proposal, moves }, DEFAULT_AFFINITY_SETTINGS);
  check.equal(
    evidence.moves.map(({ after }) => after.map(Number)),
    [[], [], [2]],
  );
});

test('a table too large for a record is made coarser, and shows the highest of its steps', async () => {
  const forecast = forecastOf({
    horizonSteps: 100,
    partitionCount: 60,
    spread: 0,
    loadOf: (t) => (t === 1 ? 5 : 1),
  });
  const nodes = Array.from({ length: 60 }, (_, n) => nodeOf(n, 10));
  const inputs = inputsOf({ ownerOf: nodes.map((_, n) => n), nodes, forecast });
  const { evidence } = await proposed(inputs);
  const { meanBefore, stepMs } = evidence.utilisation;
  check.is(stepMs, 2 * HOUR_MS);
  check.equal(meanBefore[0][0].slice(0, 3), [500, 100, 100]);
});

test.run();
