import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { settingsOf } from '../../../../plugin/host/config/config.ts';
import { configJsonSchema } from '../../../../plugin/host/config/config-schema.ts';
import { durationMs, sizeBytes, UNIT_PATTERNS, unitOf } from '../../../../plugin/host/config/units.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';

const test = suite('units');

const load = (tree: Record<string, unknown>, environment: Record<string, string> = {}): Settings =>
  settingsOf(tree, { file: null, folder: '/tmp', environment });

function refusal(tree: Record<string, unknown>, environment: Record<string, string> = {}): string {
  try {
    load(tree, environment);
  } catch (error) {
    check.instance(error, ForeshardError);
    return (error as ForeshardError).message;
  }
  throw new Error('it was accepted');
}

test('durations and sizes are read as people write them', () => {
  for (const [text, ms] of [
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['0.3s', 300],
    ['7d', 604_800_000],
  ] as const)
    check.is(durationMs(text), ms, text);
  for (const [text, bytes] of [
    ['64MiB', 67_108_864],
    ['2GB', 2e9],
    ['1.5KiB', 1536],
    ['100B', 100],
    ['32MiB/s', 33_554_432],
  ] as const)
    check.is(sizeBytes(text), bytes, text);
  for (const text of ['', '15', 'm', '15 m', '15min', '-5s', '1e3s', '15m!', '5m5'])
    check.is(durationMs(text), null, text);
  for (const text of ['', '64', '64M', '64mib', 'MiB', '-1B', '1MiB/m', '64 MiB'])
    check.is(sizeBytes(text), null, text);
});

test('what is written in any unit is the same number', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), (amount) => {
      check.is(durationMs(`${amount}m`), amount * 60_000);
      check.is(durationMs(`${amount}h`), durationMs(`${amount * 60}m`));
      check.is(sizeBytes(`${amount}MiB`), amount * 2 ** 20);
      check.is(sizeBytes(`${amount}GB`), sizeBytes(`${amount * 1000}MB`));
    }),
    { numRuns: 50 },
  );
});

test('a config says 15m and 64MiB, in its file and in the environment', () => {
  const settings = load(
    {
      migration: { graceMs: '15m', throttle: { nodeBytesPerSecond: '32MiB' } },
      node: { dataBytesMax: '20GiB' },
      controller: { cycleIntervalMs: '1h' },
    },
    { FORESHARD_MIGRATION_COPY_BYTES_PER_SECOND: '8MiB', FORESHARD_CONTROLLER_LEASE_TTL_MS: '5s' },
  );
  check.is(settings.migration.graceMs, 900_000);
  check.is(settings.migration.throttle.nodeBytesPerSecond, 32 * 2 ** 20);
  check.is(settings.node.dataBytesMax, 20 * 2 ** 30);
  check.is(settings.migration.copyBytesPerSecond, 8 * 2 ** 20);
  check.is(settings.controller.leaseTtlMs, 5_000);
});

test('what is no unit is refused with what may be written, and a unit where there is none is no number', () => {
  check.match(
    refusal({ migration: { graceMs: '15min' } }),
    /migration\.graceMs: found "15min", it must be a number, or a duration such as "15m"/,
  );
  check.match(refusal({ node: { dataBytesMax: '64M' } }), /node\.dataBytesMax: found "64M", .*"64MiB"/);
  check.match(
    refusal({}, { FORESHARD_CONTROLLER_LEASE_TTL_MS: '5 s' }),
    /FORESHARD_CONTROLLER_LEASE_TTL_MS: controller\.leaseTtlMs: found "5 s", .*"1h30m"/,
  );
  check.match(
    refusal({ affinity: { movesMax: '15m' } }),
    /affinity\.movesMax: found "15m", it must be a number \(/,
  );
  // Not the unit is wrong, but what it says.
  check.match(
    refusal({ controller: { leaseTtlMs: '1ms' } }),
    /controller\.leaseTtlMs: found "1ms", .*500 to 600000/,
  );
});

interface Property {
  readonly properties?: Readonly<Record<string, Property>>;
  readonly anyOf?: readonly { readonly type?: string; readonly pattern?: string }[];
}

test('the JSON Schema takes them too, wherever a name ends in a unit', () => {
  const schema = configJsonSchema(DEFAULT_SETTINGS) as Property;
  let count = 0;
  const walk = ({ properties = {} }: Property, standard: unknown): void => {
    for (const [name, property] of Object.entries(properties)) {
      const value = (standard as Record<string, unknown>)[name];
      walk(property, value ?? {});
      const unit = unitOf(name);
      if (unit === null) continue;
      count++;
      check.ok(typeof value === 'number' || value === null, `${name} is a number`);
      check.ok(
        property.anyOf?.some(({ type, pattern }) => type === 'string' && pattern === UNIT_PATTERNS[unit]),
        name,
      );
    }
  };
  walk(schema, DEFAULT_SETTINGS);
  check.ok(count > 40, `${count} settings have a unit`);
});

test.run();
