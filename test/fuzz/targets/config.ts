import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '../../../plugin/host/config/config.ts';
import type { Random } from '../../../src/base/random.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { mutateBytes, mutateJson, mutateTree, oneIn, pick } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const EXTENSIONS = ['json', 'yaml', 'toml'] as const;
const MARKS = EXTENSIONS.map((extension) => extension[0] as string);
const TEXTS: readonly string[] = [
  'cluster:\n  name: shop\n  partitionCount: 64\nplugin:\n  mode: auto\n',
  'a: &a [x, x]\nb: &b [*a, *a]\ncluster: *b\n',
  '[cluster]\nname = "shop"\npartitionCount = 64\n[forecast]\n',
  'security:\n  password: secret\n<<: {node: {logLevel: warn}}\n',
];

/** A config file in each of its languages; its first byte says in which: j, y or t. (A config that is code is trusted.) */
export class ConfigTarget implements FuzzTarget {
  readonly name = 'config';
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-fuzz-'));

  generate(random: Random): Buffer {
    if (oneIn(3, random)) return Buffer.from(pick(MARKS, random) + pick(TEXTS, random));
    // JSON is YAML, too.
    return Buffer.from(
      pick(['j', 'y'], random) + (JSON.stringify(mutateTree(DEFAULT_SETTINGS, random)) ?? ''),
    );
  }

  mutate(input: Buffer, random: Random): Buffer {
    const text = input.subarray(1);
    const changed =
      input[0] === MARKS[0]?.charCodeAt(0) ? mutateJson(text, random) : mutateBytes(text, random);
    return Buffer.concat([input.subarray(0, 1), changed]);
  }

  async run(input: Buffer): Promise<Outcome> {
    const extension = EXTENSIONS[MARKS.indexOf(String.fromCharCode(input[0] ?? 0))] ?? 'json';
    const file = join(this.#folder, `foreshard.config.${extension}`);
    writeFileSync(file, input.subarray(1));
    const { settings } = await loadSettings({ file, folder: this.#folder, environment: {} });
    if (!Object.isFrozen(settings.cluster)) throw new Error('settings that can be changed');
    return { kind: extension, value: settings };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
